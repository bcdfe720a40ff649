"""`pie:inferlet/constrain`: grammars, and places in them that say which tokens may come next."""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.core.commands import (
    AdvanceMatcher,
    ForkMatchers,
    FreeMatchers,
    MaskOfMatcher,
    NewMatchers,
    NextDist,
    ReadMatcher,
    RollbackMatcher,
)
from pie.core.errors import InvalidArgument
from pie.core.grammar import Grammar, GrammarKind, MatcherState
from pie.core.ids import QueueId, Token, VirtualEmb, VirtualMatcher


def compile_grammar(guest: Guest, model: str, kind: GrammarKind, text: str) -> int:
    guest.control.model(model)
    guest.futures.check_room()
    return guest.futures.add(guest.grammars.compile(model, kind, text))


def take_grammar(guest: Guest, future: int) -> int:
    match _finished(guest, future):
        case str(model), Grammar() as grammar:
            guest.futures.drop((future,))
            return guest.grammars.keep(model, grammar)
    raise InvalidArgument(f"future {future} is no grammar: it is not of compile_grammar")


def drop_grammar(guest: Guest, grammar: int) -> None:
    guest.grammars.drop(grammar)


def new_matcher(guest: Guest, queue: QueueId, grammar: int, matchers: Sequence[VirtualMatcher]) -> None:
    found = guest.grammars.find(grammar, guest.session.model_of(queue).name)
    guest.submit(queue, NewMatchers(found, matchers))


def free_matcher(guest: Guest, queue: QueueId, matchers: Sequence[VirtualMatcher]) -> None:
    guest.submit(queue, FreeMatchers(matchers))


def fork_matcher(
    guest: Guest, queue: QueueId, src: Sequence[VirtualMatcher], dst: Sequence[VirtualMatcher]
) -> None:
    guest.submit(queue, ForkMatchers(src, dst))


def advance_matcher(guest: Guest, queue: QueueId, matcher: VirtualMatcher, tokens: Sequence[Token]) -> None:
    guest.submit(queue, AdvanceMatcher(matcher, tokens))


def rollback_matcher(guest: Guest, queue: QueueId, matcher: VirtualMatcher, count: int) -> None:
    guest.submit(queue, RollbackMatcher(matcher, count))


def read_matcher(guest: Guest, queue: QueueId, matcher: VirtualMatcher) -> int:
    return guest.ask(queue, ReadMatcher(matcher))


def take_state(guest: Guest, future: int) -> MatcherState:
    value = _finished(guest, future)
    if not isinstance(value, MatcherState):
        raise InvalidArgument(f"future {future} is no state of a matcher: it is not of read_matcher")
    guest.futures.drop((future,))
    return value


def matcher_mask(guest: Guest, queue: QueueId, matcher: VirtualMatcher) -> int:
    return guest.ask(queue, MaskOfMatcher(matcher))


def get_masked_dist(
    guest: Guest,
    queue: QueueId,
    emb: VirtualEmb,
    top_k: int,
    tokens: Sequence[Token],
    matcher: VirtualMatcher,
) -> int:
    return guest.ask(queue, NextDist(emb, top_k, tokens, matcher))


def _finished(guest: Guest, number: int) -> object:
    future = guest.futures.get(number)
    if not future.done:
        raise InvalidArgument(f"future {number} is not ready: wait for it first")
    return future.result()


FUNCTIONS = (
    compile_grammar, take_grammar, drop_grammar, new_matcher, free_matcher, fork_matcher, advance_matcher,
    rollback_matcher, read_matcher, take_state, matcher_mask, get_masked_dist,
)  # fmt: skip
