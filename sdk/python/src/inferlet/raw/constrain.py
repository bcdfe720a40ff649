"""Trait *constrain*: grammars that say which tokens may come next."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from inferlet.checks import text, unsigned, unsigned_list
from inferlet.dist import Dist
from inferlet.errors import InvalidArgument
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call

GrammarKind = Literal["json-schema", "regex", "lark"]


class MatcherState(NamedTuple):
    """Where a matcher stands."""

    accepting: bool
    """The text so far is a whole word of the grammar."""
    stopped: bool
    """Nothing but the end can follow."""
    forced: list[int]
    """Tokens that must follow in any case: they need no model."""


def compile_grammar(model: str, kind: GrammarKind, source: str) -> Future[int]:
    """Checks and compiles a grammar, with bounds on time and size; the result is its number.

    kind: "json-schema", "regex" or "lark", what `source` is written in.
    """
    if kind not in get_args(GrammarKind):
        raise InvalidArgument(f"kind must be one of {', '.join(get_args(GrammarKind))}, not {kind!r}")
    host = bound.host.constrain
    wanted = host.GrammarKind[kind.upper().replace("-", "_")]
    future = call(host.compile_grammar, text("model", model), wanted, text("source", source))
    return Reading(future, host.take_grammar)


def drop_grammar(grammar: int) -> None:
    """Forgets a grammar; matchers made of it live on."""
    bound.host.constrain.drop_grammar(unsigned("grammar", grammar))


def new_matcher(queue: int, grammar: int, matchers: Iterable[int]) -> None:
    """New matchers under the given ids, at the grammar's beginning."""
    call(
        bound.host.constrain.new_matcher, unsigned("queue", queue), unsigned("grammar", grammar),
        unsigned_list("matchers", matchers),
    )


def free_matcher(queue: int, matchers: Iterable[int]) -> None:
    """Gives matchers back, when what is queued before has been executed."""
    call(bound.host.constrain.free_matcher, unsigned("queue", queue), unsigned_list("matchers", matchers))


def fork_matcher(queue: int, src: Iterable[int], dst: Iterable[int]) -> None:
    """Each of `dst` (new ids) stands where its `src` stands."""
    call(
        bound.host.constrain.fork_matcher, unsigned("queue", queue), unsigned_list("src", src),
        unsigned_list("dst", dst),
    )


def advance_matcher(queue: int, matcher: int, tokens: Iterable[int]) -> None:
    """Moves on by tokens. One that the grammar does not allow poisons the queue, and the matcher stays."""
    call(
        bound.host.constrain.advance_matcher, unsigned("queue", queue), unsigned("matcher", matcher),
        unsigned_list("tokens", tokens),
    )


def rollback_matcher(queue: int, matcher: int, count: int) -> None:
    """Takes the last `count` tokens back."""
    call(
        bound.host.constrain.rollback_matcher, unsigned("queue", queue), unsigned("matcher", matcher),
        unsigned("count", count),
    )


def read_matcher(queue: int, matcher: int) -> Future[MatcherState]:
    """Where a matcher stands, when what is queued before has been executed."""
    future = call(bound.host.constrain.read_matcher, unsigned("queue", queue), unsigned("matcher", matcher))
    return Reading(future, _take_state)


def _take_state(future: int) -> MatcherState:
    state = bound.host.constrain.take_state(future)
    return MatcherState(state.accepting, state.stopped, list(state.forced))


def matcher_mask(queue: int, matcher: int) -> Future[bytes]:
    """The tokens that may come next as bits: token i is bit i % 8 of byte i // 8."""
    future = call(bound.host.constrain.matcher_mask, unsigned("queue", queue), unsigned("matcher", matcher))
    return Reading(future, bound.host.futures.take_blob)


def get_masked_dist(
    queue: int, emb: int, matcher: int, top_k: int = 256, tokens: Sequence[int] = ()
) -> Dist:
    """`get_next_dist` among the tokens that a matcher allows."""
    return Dist(
        call(
            bound.host.constrain.get_masked_dist, unsigned("queue", queue), unsigned("emb", emb),
            unsigned("top_k", top_k), unsigned_list("tokens", tokens), unsigned("matcher", matcher),
        )
    )
