"""Grammars over a model's vocabulary: which tokens may come next. Compiled by llguidance.

Both who checks a grammar (a process of the application layer) and who follows it (the driver) compile with
this, so what was accepted there is accepted here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import llguidance
import msgspec

from pie.core.errors import InvalidArgument, LimitExceeded, Unavailable
from pie.core.grammar import GrammarKind
from pie.models.grammar_bounds import with_bounds
from pie.models.grammar_errors import clear_lark, clear_regex, clear_schema

COMPACT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as Python writes it. Free white space is what a model at a loss fills a text with, without an end;
a schema that wants it says so: `"x-guidance": {"whitespace_flexible": true}`."""

MOST_LEXER_STATES = 1 << 15
"""Of one grammar: 1 to 2 kB each."""
MOST_STEP_FUEL = 100_000
MOST_STEP_ITEMS = 25_000
"""One mask costs at most some 10 ms, whatever the grammar."""

Encode = Callable[[str], Sequence[int]]


class GrammarVocabulary:
    """What a grammar is compiled against; made once for a model (some 0.3 s).

    tokens: the bytes of each token. special: names of those without text, as `<|im_end|>`; Lark grammars
    may use them. stop_tokens: what ends a text. encode: how forced text becomes tokens; without it they
    are found greedily. step_fuel: what one mask may cost, about 14 a microsecond. Raises `Unavailable` for a
    model that cannot end a text.
    """

    def __init__(
        self,
        tokens: Sequence[bytes],
        special: Mapping[int, str],
        stop_tokens: Sequence[int],
        encode: Encode | None = None,
        step_fuel: int = MOST_STEP_FUEL,
    ) -> None:
        if not stop_tokens:
            raise Unavailable("the model has no token that ends a text: grammars cannot be used with it")
        self.size = len(tokens)
        self.stop_tokens = frozenset(stop_tokens)
        source = _Source(tokens, special, stop_tokens[0], encode or _greedy(tokens))
        wrapped = llguidance.TokenizerWrapper(source)
        self._tokenizer = llguidance.LLTokenizer(wrapped, n_vocab=len(tokens), eos_token=list(stop_tokens))
        self._limits = llguidance.LLParserLimits(
            max_lexer_states=MOST_LEXER_STATES,
            step_lexer_fuel=step_fuel,
            step_max_items=MOST_STEP_ITEMS,
            verbose_errors=False,
        )

    def compile(self, kind: GrammarKind, text: str) -> llguidance.LLMatcher:
        """A matcher at the grammar's beginning. Raises `InvalidArgument`, which says what is wrong where."""
        if kind == "json-schema":
            return self._compile_schema(text)
        if kind == "regex":
            return self._try(llguidance.LLMatcher.grammar_from_regex(text), clear_regex)
        return self._try(llguidance.LLMatcher.grammar_from_lark(text), clear_lark)

    def _compile_schema(self, text: str) -> llguidance.LLMatcher:
        schema = read_schema(text)

        def say(error: str) -> str:
            return clear_schema(schema, error, schema_error)

        finite = self._begin(schema_source(with_bounds(schema)))
        return finite if not finite.is_error() else self._try(schema_source(schema), say)

    def _begin(self, source: str) -> llguidance.LLMatcher:
        matcher = llguidance.LLMatcher(self._tokenizer, source, log_level=0, limits=self._limits)
        if not matcher.is_error():
            matcher.compute_bitmask()  # much of the work, and some of the errors, come with the first mask
        return matcher

    def _try(self, source: str, clear: Callable[[str], str]) -> llguidance.LLMatcher:
        matcher = self._begin(source)
        error = matcher.get_error()
        if not error:
            return matcher
        if any(word in error.lower() for word in ("too large", "fuel", "too many")):
            raise LimitExceeded(f"the grammar is too large or too involved: {error.partition(chr(10))[0]}")
        raise InvalidArgument(clear(error))


def read_schema(text: str) -> dict[str, Any]:
    """Raises `InvalidArgument` for text that is no JSON object."""
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(f"the schema is not JSON: {error}{_line_of(text, str(error))}") from None
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise InvalidArgument(f"a JSON schema is an object, {{...}}, not {text.strip()[:40]}")
    return schema


def schema_source(schema: Mapping[str, Any]) -> str:
    """The schema with our defaults in llguidance's notation. Raises `ValueError`."""
    asked = schema.get("x-guidance")
    flexible = isinstance(asked, dict) and asked.get("whitespace_flexible") is True
    defaults = None if flexible else COMPACT
    source: str = llguidance.LLMatcher.grammar_from_json_schema(dict(schema), defaults=defaults)
    return source


def schema_error(schema: Mapping[str, Any]) -> str:
    """What llguidance says about a schema; empty when it is content."""
    try:
        failed, said = llguidance.LLMatcher.validate_grammar_with_warnings(schema_source(schema))
    except ValueError as error:
        return str(error)
    return said[0] if failed else ""


class _Source:
    """A tokenizer as llguidance wants to be told of it."""

    def __init__(
        self, tokens: Sequence[bytes], special: Mapping[int, str], stop_token: int, encode: Encode
    ) -> None:
        self.eos_token_id = stop_token
        self.bos_token_id = None
        self.tokens = [special[i].encode() if i in special else token for i, token in enumerate(tokens)]
        self.special_token_ids = sorted(special)
        self._encode = encode

    def __call__(self, text: str) -> list[int]:
        return list(self._encode(text))


def _greedy(tokens: Sequence[bytes]) -> Encode:
    """The longest token first: good enough where only masks matter."""
    numbers = {token: number for number, token in enumerate(tokens) if token}
    longest = max(map(len, numbers), default=1)

    def pieces(data: bytes) -> Iterator[int]:
        start = 0
        while start < len(data):
            ends = range(min(len(data), start + longest), start, -1)
            end = next((end for end in ends if data[start:end] in numbers), None)
            if end is None:
                raise ValueError(f"no token begins like {data[start : start + 8]!r}")
            yield numbers[data[start:end]]
            start = end

    return lambda text: list(pieces(text.encode()))


def _line_of(text: str, error: str) -> str:
    """Where msgspec's "(byte N)" is, as people count."""
    _, found, rest = error.rpartition("(byte ")
    if not found or not rest.rstrip(")").isdigit():
        return ""
    before = text.encode()[: int(rest.rstrip(")"))].decode(errors="ignore")
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"
