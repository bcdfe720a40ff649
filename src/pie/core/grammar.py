"""Grammars as they cross the walls: text and its kind. Each side compiles for itself."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

GrammarKind = Literal["json-schema", "regex", "lark"]
GRAMMAR_KINDS: tuple[GrammarKind, ...] = ("json-schema", "regex", "lark")
"""In the order of the contract; a kind's index stands for it in a pass."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """One that has been checked: it compiles within the limits. `digest` names it in caches."""

    kind: GrammarKind
    text: str
    digest: str


class MatcherState(NamedTuple):
    accepting: bool
    """The text so far is a whole word of the grammar."""
    stopped: bool
    """Nothing but the end can follow."""
    forced: list[int]
    """Tokens that must follow in any case."""


class MatcherOp(IntEnum):
    """What the rows of a pass's `matcher_ops` do: (what, target, other, number of tokens)."""

    LOAD = 0
    """Grammar `target` becomes the next of `grammar_texts`, which is of kind `other`."""
    NEW = 1
    """Matcher `target` stands at the beginning of grammar `other`."""
    FORK = 2
    """Matcher `target` stands where matcher `other` stands."""
    ADVANCE = 3
    """Matcher `target` moves on by the next tokens of `matcher_data`."""
    ROLLBACK = 4
    """Matcher `target` takes back `other` tokens."""


class MatcherQuestion(IntEnum):
    """What a pass's `matcher_reads` ask."""

    STATE = 0
    """Answered with 0 or 1 for accepting, 0 or 1 for stopped, and the forced tokens."""
    MASK = 1
    """Answered with the bytes of the mask."""
