"""Grammars as they cross the walls: text and its kind. Each side compiles for itself."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

GrammarKind = Literal["json-schema", "regex", "lark"]


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
