"""Checked commands that concern matchers."""

from collections.abc import Sequence
from dataclasses import dataclass

from pie.control.leases import MatcherLease
from pie.core.commands import Completion
from pie.core.grammar import Grammar, MatcherOp, MatcherQuestion
from pie.core.ids import Token


@dataclass(slots=True, eq=False)
class NewMatchersWork:
    grammar: Grammar
    matchers: list[MatcherLease]
    size: int


@dataclass(slots=True, eq=False)
class ForkMatchersWork:
    src: list[MatcherLease]
    dst: list[MatcherLease]
    size: int


@dataclass(slots=True, eq=False)
class MoveMatcherWork:
    matcher: MatcherLease
    op: MatcherOp
    """`ADVANCE` by `tokens` or `ROLLBACK` of `count`."""
    tokens: Sequence[Token]
    count: int
    size: int


@dataclass(slots=True, eq=False)
class AskMatcherWork:
    matcher: MatcherLease
    question: MatcherQuestion
    completion: Completion | None
    size: int = 1


MatcherWork = NewMatchersWork | ForkMatchersWork | MoveMatcherWork | AskMatcherWork
