"""Pages and embeddings of the fake: they hold tokens where the real ones hold vectors."""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class ErrorKind(Enum):
    INVALID_ARGUMENT = 0
    UNKNOWN_ID = 1
    OUT_OF_RESOURCES = 2
    QUEUE_FAILED = 3
    LIMIT_EXCEEDED = 4
    UNAVAILABLE = 5
    TIMEOUT = 6
    CANCELLED = 7
    INTERNAL = 8
    NOT_PERMITTED = 9
    UNREACHABLE = 10
    CHILD_FAILED = 11


class ErrorValue(NamedTuple):
    kind: ErrorKind
    message: str


class HostError(Exception):
    """What a failing host call raises, as the bindings' `Err` does."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.value = ErrorValue(kind, message)


def invalid(message: str) -> HostError:
    return HostError(ErrorKind.INVALID_ARGUMENT, message)


class Slot(NamedTuple):
    """One token in a page, or one input."""

    token: int
    position: int
    visible: bool = True


class Emb(NamedTuple):
    """An embedded token; after a forward also the tokens that it has seen, itself included."""

    slot: Slot | None = None
    seen: tuple[int, ...] | None = None
    adapter: str = ""


class Named(dict[int, T]):
    """Things that the program named itself. `noun` is for messages."""

    def __init__(self, noun: str) -> None:
        super().__init__()
        self.noun = noun

    def find(self, id: int) -> T:
        if id not in self:
            raise HostError(ErrorKind.UNKNOWN_ID, f"{self.noun} {id} is not allocated")
        return self[id]

    def check_new(self, ids: Sequence[int]) -> None:
        for id in ids:
            if id in self or ids.count(id) > 1:
                raise invalid(f"{self.noun} {id} is already allocated")

    def remove(self, ids: Iterable[int]) -> None:
        for id in ids:
            self.find(id)
            del self[id]


Page = list[Slot | None]


def sees(query: Slot, keys: Sequence[Slot | None], row: Sequence[int] | None) -> tuple[int, ...]:
    """The tokens that one input sees, in the order of their positions."""
    chosen = range(len(keys)) if row is None else _unroll(row)
    visible = [
        key for index in chosen if (key := keys[index]) is not None and key.visible
        and (row is not None or key.position <= query.position)
    ]
    positions = [key.position for key in visible]
    if len(set(positions)) < len(positions):
        raise invalid(f"the input at position {query.position} sees a position twice: {sorted(positions)}")
    return tuple(key.token for key in sorted(visible, key=lambda key: key.position))


def _unroll(row: Sequence[int]) -> list[int]:
    """The visible indices of a mask row: run lengths, hidden first."""
    indices: list[int] = []
    start = 0
    for number, length in enumerate(row):
        if number % 2:
            indices += range(start, start + length)
        start += length
    return indices
