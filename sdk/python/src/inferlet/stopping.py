"""When a generation ends. What `stop=` takes: strings, tokens, functions, and the objects below."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from inferlet.checks import unsigned
from inferlet.errors import InvalidArgument

Condition = Callable[[str], bool]
"""Given the text of this generation so far: whether it is enough."""


@dataclass(frozen=True, slots=True, init=False)
class StopString:
    """Ends before any of these strings; they are not part of the result."""

    strings: tuple[str, ...]

    def __init__(self, *strings: str) -> None:
        if not all(strings):
            raise InvalidArgument("a stop string has at least one character")
        object.__setattr__(self, "strings", strings)


@dataclass(frozen=True, slots=True, init=False)
class StopToken:
    """Ends at any of these tokens, beside the model's own; they are not part of the result."""

    tokens: tuple[int, ...]

    def __init__(self, *tokens: int) -> None:
        object.__setattr__(self, "tokens", tuple(unsigned("a stop token", token) for token in tokens))


@dataclass(frozen=True, slots=True)
class StopWhen:
    """Ends after the token that makes `condition(text so far)` true."""

    condition: Condition


Stop = str | int | Condition | StopString | StopToken | StopWhen
StopLike = Stop | Iterable[Stop]
"""One condition or several."""


class Stops(NamedTuple):
    """All conditions of one generation, sorted by kind."""

    tokens: frozenset[int]
    strings: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def textual(self) -> bool:
        """The text decides, not only the tokens."""
        return bool(self.strings or self.conditions)


def gather(stop: StopLike, tokens: Iterable[int]) -> Stops:
    """The conditions in `stop`, and the tokens that end a generation anyway."""
    stops = Stops(frozenset(tokens))
    if not stop and stop != 0:
        return stops
    several = isinstance(stop, Iterable) and not isinstance(stop, str)
    for one in stop if several else (stop,):  # type: ignore[union-attr]
        stops = _with(stops, one)  # type: ignore[arg-type]
    return stops


def _with(stops: Stops, stop: Stop) -> Stops:
    match stop:
        case str():
            return stops._replace(strings=stops.strings + StopString(stop).strings)
        case StopString(strings):
            return stops._replace(strings=stops.strings + strings)
        case int():
            return stops._replace(tokens=stops.tokens | {unsigned("a stop token", stop)})
        case StopToken(tokens):
            return stops._replace(tokens=stops.tokens | set(tokens))
        case StopWhen(condition):
            return stops._replace(conditions=(*stops.conditions, condition))
    if callable(stop):
        return stops._replace(conditions=(*stops.conditions, stop))
    raise TypeError(f"stop takes strings, tokens and functions of the text, not {stop!r}")
