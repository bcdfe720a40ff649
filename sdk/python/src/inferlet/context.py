"""A text that the model has read, and goes on writing.

`fill` only notes text down; it is run through the model when a distribution is needed, or by `flush`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

from inferlet import raw
from inferlet.cache import Cache
from inferlet.checks import unsigned, unsigned_list
from inferlet.dist import Dist
from inferlet.errors import ContextFull, InvalidArgument
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.model import Message, Model
from inferlet.sampling import KEPT_TOKENS, PickToken, Sampler, greedy
from inferlet.text import TextStream

T = TypeVar("T")

RUN_TOKENS = 64
"""Most tokens of a greedy run: a program that is cancelled in it computes no more than that for nothing."""


class Context:
    """A list of tokens, and on a queue of its own the key-value pages with what the model made of them.

    `model` is a `Model` or its name; without one the default model. Use it in `with`, or call `close`, to
    give the pages back early; they go back at the latest when the program ends.
    """

    def __init__(self, model: Model | str | None = None) -> None:
        self.model = model if isinstance(model, Model) else Model(model)
        self.stop_reason: str | None = None
        """Why the last generation ended: "stop_token", "stop_string", "max_tokens", "context_length"."""
        self._tokens: list[int] = []
        self._cache = Cache(self.model)
        self._waiting = False

    # --- the text ---------------------------------------------------------------------------------------

    @property
    def queue(self) -> int:
        """The queue that this context's commands take."""
        return self._cache.queue

    def __len__(self) -> int:
        """Tokens of the text."""
        return len(self._tokens)

    @property
    def tokens(self) -> list[int]:
        """The tokens of the text (a copy)."""
        return self._tokens[:]

    @property
    def text(self) -> str:
        """The whole text, filled and generated."""
        return self.model.detokenize(self._tokens)

    def fill(self, text: str | Iterable[int]) -> None:
        """Appends a text, or tokens. A first text gets the model's beginning token, where it wants one.

        Raises `ContextFull` if it does not fit into the model's context length.
        """
        if not isinstance(text, str):
            self._append(unsigned_list("tokens", text))
        elif text:
            self._append(self._begun(self.model.tokenize(text)))

    def fill_chat(self, messages: Sequence[Message], add_generation_prompt: bool = True) -> None:
        """Makes the text this conversation, rendered with the model's chat template.

        Give the whole conversation each time: what the context already holds of it is not computed again.
        """
        rendered = self.model.apply_chat_template(messages, add_generation_prompt)
        tokens = self.model.tokenize(rendered)
        common = _common_prefix(self._tokens, tokens)
        if common < len(self._tokens):
            self.trim(common)
        self._append(tokens[common:])

    def trim(self, length: int) -> None:
        """Forgets all but the first `length` tokens."""
        if not 0 <= length <= len(self._tokens):
            raise InvalidArgument(f"length must be from 0 to {len(self._tokens)}, not {length}")
        del self._tokens[length:]
        # The last token is run again, for the hidden state that the next distribution starts from.
        self._cache.keep(max(0, length - 1))

    # --- generation -------------------------------------------------------------------------------------

    async def generate(
        self,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        stop: str | Sequence[str] = (),
        stop_tokens: Iterable[int] | None = None,
    ) -> str:
        """Continues the text and returns what was added; `stop_reason` says why it ended.

        sampler: a `Sampler` or any function `(Dist) -> int`; greedy without one.
        stop: strings that end it; they are not part of the result.
        stop_tokens: tokens that end it, instead of the model's own. They are not added to the text.
        """
        if stop:
            return "".join([piece async for piece in self.stream(max_tokens, sampler, stop, stop_tokens)])
        pick = sampler or greedy()
        if isinstance(pick, Sampler) and pick.kept_tokens == 1:
            tokens = await self._generate_greedily(max_tokens, stop_tokens)
        else:
            tokens = [token async for token in self.stream_tokens(max_tokens, pick, stop_tokens)]
        return raw.token_bytes(self.model.name, tokens).decode("utf-8", "replace") if tokens else ""

    async def stream(
        self,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        stop: str | Sequence[str] = (),
        stop_tokens: Iterable[int] | None = None,
    ) -> AsyncIterator[str]:
        """`generate`, piece by piece as the text becomes certain; the pieces are whole characters."""
        decoder = TextStream((stop,) if isinstance(stop, str) and stop else tuple(stop))
        async with aclosing(self.stream_tokens(max_tokens, sampler, stop_tokens)) as tokens:
            async for token in tokens:
                piece = decoder.push(self.model.token_bytes(token))
                if piece:
                    yield piece
                if decoder.stopped is not None:
                    self.stop_reason = "stop_string"
                    return
        rest = decoder.finish()
        if rest:
            yield rest

    async def stream_tokens(
        self,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        stop_tokens: Iterable[int] | None = None,
    ) -> AsyncGenerator[int, None]:
        """`generate`, token by token."""
        pick = sampler or greedy()
        kept: int = getattr(pick, "kept_tokens", KEPT_TOKENS)
        stops = self.model.stop_tokens if stop_tokens is None else frozenset(stop_tokens)
        only_best = isinstance(pick, Sampler) and kept == 1
        vocabulary, most = self.model.vocabulary_size, self.model.context_length
        self.stop_reason = None
        self._check_room(min(max_tokens, 1))
        for _ in range(max_tokens):
            if len(self._tokens) >= most:
                self.stop_reason = "context_length"
                return
            token = await self._best_token() if only_best else pick(await self.next_dist(kept))
            if token in stops:
                self.stop_reason = "stop_token"
                return
            if type(token) is not int or not 0 <= token < vocabulary:
                raise InvalidArgument(f"a sampler returns a token from 0 to {vocabulary - 1}, not {token!r}")
            self._tokens.append(token)
            yield token
        self.stop_reason = "max_tokens"

    async def next_dist(self, top_k: int = KEPT_TOKENS, tokens: Sequence[int] = ()) -> Dist:
        """The distribution of the next token; `fill([token])` goes on with the one you pick.

        top_k: how many of the best tokens are kept. tokens: their exact log-probabilities are kept too.
        """
        scored = unsigned_list("tokens", tokens) if tokens else []
        if self._cache.origin is not None:
            await self._cache.settle()
        return await self._wait(Dist(self._ask(unsigned("top_k", top_k), scored), len(self._tokens)))

    async def _generate_greedily(self, max_tokens: int, stop_tokens: Iterable[int] | None) -> list[int]:
        """`stream_tokens` without waking up for each token, as nobody looks at them one by one."""
        stops = self.model.stop_tokens if stop_tokens is None else frozenset(stop_tokens)
        found: list[int] = []
        self.stop_reason = None
        self._check_room(min(max_tokens, 1))
        while self.stop_reason is None:
            left = min(max_tokens - len(found), self.model.context_length - len(self._tokens))
            if left > 0:
                found += await self._best_tokens(left, stops)
            else:
                self.stop_reason = "max_tokens" if len(found) == max_tokens else "context_length"
        return found

    async def _best_tokens(self, most: int, stops: frozenset[int]) -> list[int]:
        """One or more best tokens, now part of the text. A stop token is not; it is the `stop_reason`."""
        run = most > 1 and self._cache.can_run(self._tokens)
        tokens = await self._greedy_run(min(most, RUN_TOKENS), stops) if run else [await self._best_token()]
        if tokens[-1] in stops:
            self.stop_reason = "stop_token"
            tokens.pop()
        self._tokens += tokens
        return tokens

    async def _greedy_run(self, count: int, stops: frozenset[int]) -> list[int]:
        self._check_alone()
        tokens = await self._wait(
            Reading(
                self._cache.begin_run(self._tokens[-1], count, sorted(stops)),
                bound.host.output_text.take_tokens,
                waits=True,
            )
        )
        self._cache.end_run(len(tokens))
        return tokens

    async def _best_token(self) -> int:
        if self._cache.origin is not None:
            await self._cache.settle()
        return await self._wait(Reading(self._ask(1, []), bound.host.output_text.take_max_index, waits=True))

    def _check_alone(self) -> None:
        if self._waiting:
            raise RuntimeError("two tasks generate on one context at the same time: give each a `fork()`")

    def _ask(self, top_k: int, scored: list[int]) -> int:
        """The future of the next distribution; the cache has settled."""
        self._check_alone()
        if not self._tokens:
            raise InvalidArgument("the context is empty: `fill` in a text first")
        return self._cache.next_dist(self._tokens, top_k, scored)

    async def _wait(self, future: Future[T]) -> T:
        self._waiting = True
        try:
            value = await future
        finally:
            self._waiting = False
        self._cache.quiet = True
        return value

    async def flush(self) -> None:
        """Runs everything filled in so far through the model, and returns when that is done."""
        cache = self._cache
        await cache.settle()
        cache.prefill(self._tokens, len(self._tokens))
        await raw.synchronize(cache.queue)
        cache.quiet = True

    # --- life -------------------------------------------------------------------------------------------

    def fork(self) -> "Context":
        """A context with the same text that goes its own way. It shares the pages; a shared page is copied
        when one of the two writes to it."""
        # Both run the last token themselves: its hidden state is what they go on from.
        self._cache.prefill_if_settled(self._tokens, len(self._tokens) - 1)
        child = Context.__new__(Context)
        child.model = self.model
        child.stop_reason = None
        child._tokens = self._tokens[:]
        child._cache = self._cache.fork()
        child._cache.keep(max(0, len(child._tokens) - 1))
        child._waiting = False
        return child

    def close(self) -> None:
        """Gives pages and embeddings back. The context cannot be used after that."""
        self._cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_room(self, count: int) -> None:
        self._cache.check_open()
        most = self.model.context_length
        if len(self._tokens) + count > most:
            raise ContextFull(
                f"{count} more tokens do not fit: the context holds {len(self._tokens)} of the {most} that "
                f"{self.model.name} can see; shorten the text or `trim` the context"
            )

    def _begun(self, tokens: list[int]) -> list[int]:
        bos = self.model.bos_token
        return [bos, *tokens] if bos is not None and not self._tokens and tokens[:1] != [bos] else tokens

    def _append(self, tokens: list[int]) -> None:
        self._check_room(len(tokens))
        self._tokens.extend(tokens)


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
