"""Commands of matchers."""

from collections.abc import Mapping
from types import MappingProxyType

from pie.control.addresses import AddressSpace
from pie.control.bounds import Bounds, Check
from pie.control.matcher_work import AskMatcherWork, ForkMatchersWork, MoveMatcherWork, NewMatchersWork
from pie.control.work import FreeWork
from pie.core.commands import (
    AdvanceMatcher,
    Completion,
    ForkMatchers,
    FreeMatchers,
    MaskOfMatcher,
    NewMatchers,
    ReadMatcher,
    RollbackMatcher,
)
from pie.core.errors import InvalidArgument, LimitExceeded
from pie.core.grammar import MatcherOp, MatcherQuestion

MOST_COUNT = 2**31 - 1


def new_matchers(
    bounds: Bounds, space: AddressSpace, command: NewMatchers, _: Completion | None
) -> NewMatchersWork | None:
    bounds.check_length("new_matcher", command.matchers)
    _check_number(bounds, space, len(command.matchers))
    made = space.matchers.add(command.matchers)
    return NewMatchersWork(command.grammar, made, len(made)) if made else None


def free_matchers(
    bounds: Bounds, space: AddressSpace, command: FreeMatchers, _: Completion | None
) -> FreeWork:
    bounds.check_length("free_matcher", command.matchers)
    return FreeWork(len(command.matchers), "matchers", space.matchers.remove(command.matchers))


def fork_matchers(
    bounds: Bounds, space: AddressSpace, command: ForkMatchers, _: Completion | None
) -> ForkMatchersWork | None:
    src, dst = command
    if len(src) != len(dst):
        raise InvalidArgument(f"fork_matcher: {len(src)} src, {len(dst)} dst: give one new matcher for each")
    bounds.check_length("fork_matcher", src)
    _check_number(bounds, space, len(dst))
    sources = space.matchers.find(src)
    return ForkMatchersWork(sources, space.matchers.add(dst), 2 * len(src)) if src else None


def advance_matcher(
    bounds: Bounds, space: AddressSpace, command: AdvanceMatcher, _: Completion | None
) -> MoveMatcherWork | None:
    matcher, tokens = command
    bounds.check_length("advance_matcher", tokens)
    bounds.check_tokens("advance_matcher", tokens)
    found = space.matchers.find((matcher,))[0]
    return MoveMatcherWork(found, MatcherOp.ADVANCE, tokens, 0, 1 + len(tokens)) if tokens else None


def rollback_matcher(
    bounds: Bounds, space: AddressSpace, command: RollbackMatcher, _: Completion | None
) -> MoveMatcherWork | None:
    del bounds
    matcher, count = command
    if not 0 <= count <= MOST_COUNT:
        raise InvalidArgument(f"rollback_matcher: {count} tokens cannot be taken back")
    found = space.matchers.find((matcher,))[0]
    return MoveMatcherWork(found, MatcherOp.ROLLBACK, (), count, 1) if count else None


def read_matcher(
    bounds: Bounds, space: AddressSpace, command: ReadMatcher, completion: Completion | None
) -> AskMatcherWork:
    del bounds
    return AskMatcherWork(space.matchers.find((command.matcher,))[0], MatcherQuestion.STATE, completion)


def mask_of_matcher(
    bounds: Bounds, space: AddressSpace, command: MaskOfMatcher, completion: Completion | None
) -> AskMatcherWork:
    del bounds
    return AskMatcherWork(space.matchers.find((command.matcher,))[0], MatcherQuestion.MASK, completion)


def _check_number(bounds: Bounds, space: AddressSpace, more: int) -> None:
    most = bounds.settings.max_matchers
    if len(space.matchers.leases) + more > most:
        raise LimitExceeded(
            f"{more} more matchers would be more than the {most} that a program may have: free some first"
        )


CHECKS: Mapping[type, Check] = MappingProxyType(
    {
        NewMatchers: new_matchers,
        FreeMatchers: free_matchers,
        ForkMatchers: fork_matchers,
        AdvanceMatcher: advance_matcher,
        RollbackMatcher: rollback_matcher,
        ReadMatcher: read_matcher,
        MaskOfMatcher: mask_of_matcher,
    }
)
