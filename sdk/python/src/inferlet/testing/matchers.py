"""Grammars of the fake: the same engine as the server's, on the fake's vocabulary of bytes."""

from typing import Any

from inferlet.testing.answers import END, SPECIAL, VOCABULARY, tokenize
from inferlet.testing.device import FakeDevice
from inferlet.testing.drawing import Shares, ranked
from inferlet.testing.pages import ErrorKind, HostError, Named, invalid
from inferlet.testing.records import GrammarKind, MatcherState
from inferlet.testing.runtime import FakeRuntime

try:
    import llguidance
except ImportError:  # in the sandbox, and where only the library is installed
    llguidance = None  # type: ignore[assignment]


COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as the server has it written."""


class ByteTokenizer:
    """The fake's vocabulary, as llguidance wants to see one."""

    eos_token_id = END
    bos_token_id = None
    unk_token_id = None
    tokens = tuple(bytes([0xFF]) + text if text.startswith(b"<|") else text for text in VOCABULARY)
    special_token_ids = tuple(SPECIAL.values())

    def __call__(self, text: bytes | str) -> list[int]:
        return tokenize(text) if isinstance(text, str) else list(text)


class FakeMatchers:
    """The interface `constrain`. Needs the package llguidance."""

    GrammarKind: Any = GrammarKind

    def __init__(self, device: FakeDevice, runtime: FakeRuntime) -> None:
        self.matchers: Named[Any] = Named("matcher")
        self._grammars: dict[int, str] = {}
        self._made = 0
        self._device = device
        self._runtime = runtime
        self._tokenizer: Any = None

    def compile_grammar(self, model: str, kind: Any, text: str) -> int:
        self._runtime.model(model)
        return self._runtime.later(self._compiled(kind, text))

    def take_grammar(self, future: int) -> int:
        number: int = self._runtime.take(future)
        return number

    def drop_grammar(self, grammar: int) -> None:
        self._grammars.pop(grammar, None)

    def new_matcher(self, queue: int, grammar: int, matchers: list[int]) -> None:
        self._runtime.command("new_matcher", queue)
        if grammar not in self._grammars:
            raise HostError(ErrorKind.UNKNOWN_ID, f"grammar {grammar} does not exist")
        self.matchers.check_new(matchers)
        self.matchers.update((matcher, self._matcher(self._grammars[grammar])) for matcher in matchers)

    def free_matcher(self, queue: int, matchers: list[int]) -> None:
        self._runtime.command("free_matcher", queue)
        self.matchers.remove(matchers)

    def fork_matcher(self, queue: int, src: list[int], dst: list[int]) -> None:
        self._runtime.command("fork_matcher", queue)
        self.matchers.check_new(dst)
        for source, target in zip(src, dst, strict=True):
            self.matchers[target] = self.matchers.find(source).deep_copy()

    def advance_matcher(self, queue: int, matcher: int, tokens: list[int]) -> None:
        self._runtime.command("advance_matcher", queue)
        failure = self.advance(matcher, tokens)
        if failure:
            self._runtime.failed[queue] = failure

    def rollback_matcher(self, queue: int, matcher: int, count: int) -> None:
        self._runtime.command("rollback_matcher", queue)
        self.matchers.find(matcher).rollback(count)

    def read_matcher(self, queue: int, matcher: int) -> int:
        self._runtime.command("read_matcher", queue)
        found = self.matchers.find(matcher)
        forced = [] if found.is_stopped() else list(found.compute_ff_tokens())
        return self._runtime.promise(queue, MatcherState(found.is_accepting(), found.is_stopped(), forced))

    def take_state(self, future: int) -> MatcherState:
        state: MatcherState = self._runtime.take(future)
        return state

    def matcher_mask(self, queue: int, matcher: int) -> int:
        self._runtime.command("matcher_mask", queue)
        return self._runtime.promise(queue, self._mask(matcher))

    def get_masked_dist(self, queue: int, emb: int, top_k: int, tokens: list[int], matcher: int) -> int:
        self._runtime.command("get_masked_dist", queue)
        best = self.allowed(matcher, self._device.best(emb))
        return self._device.promise_dist(queue, best, top_k, tokens)

    def allowed(self, matcher: int, best: Shares) -> Shares:
        """The part of a distribution that a matcher allows; all of what it allows, where that is nothing."""
        mask = self._mask(matcher)
        kept = {token: share for token, share in best if mask[token // 8] >> token % 8 & 1 and share}
        if not kept:
            kept = {token: 1.0 for token in range(len(VOCABULARY)) if mask[token // 8] >> token % 8 & 1}
        total = sum(kept.values())
        return ranked({token: share / total for token, share in kept.items()})

    def advance(self, matcher: int, tokens: list[int]) -> str:
        """Moves on by tokens; else stays and says why."""
        found = self.matchers.find(matcher)
        if found.validate_tokens(tokens) < len(tokens):
            return f"matcher {matcher} does not allow the tokens {tokens}"
        found.consume_tokens(tokens)
        return ""

    def _mask(self, matcher: int) -> bytes:
        found = self.matchers.find(matcher)
        if found.is_stopped():
            return bytes(END // 8) + bytes([1 << END % 8])
        mask: bytes = found.compute_bitmask()
        return mask

    def _compiled(self, kind: Any, text: str) -> int:
        if llguidance is None:
            raise invalid("grammars need the package llguidance on the host: pip install llguidance")
        ours = kind is GrammarKind.JSON_SCHEMA and "x-guidance" not in text
        compact = {"defaults": COMPACT} if ours else {}
        grammar = getattr(llguidance.LLMatcher, f"grammar_from_{kind.name.lower()}")(text, **compact)
        failed = self._matcher(grammar).get_error()
        if failed:
            raise invalid(f"the grammar does not compile: {failed}")
        self._made += 1
        self._grammars[self._made] = grammar
        return self._made

    def _matcher(self, grammar: str) -> Any:
        if self._tokenizer is None:
            self._tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(ByteTokenizer()))
        return llguidance.LLMatcher(self._tokenizer, grammar)
