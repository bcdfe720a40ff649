"""Logical pages, embeddings, slots and matchers: what a virtual id stands for, wherever it is now."""

from enum import Enum
from typing import Generic, Literal, Protocol, TypeGuard, TypeVar

from pie.core.errors import InvalidArgument, PieError, Unavailable, UnknownId
from pie.core.ids import (
    HostPlace,
    PhysicalEmb,
    PhysicalMatcher,
    PhysicalPage,
    PhysicalSlot,
    VirtualEmb,
    VirtualMatcher,
    VirtualPage,
    VirtualSlot,
)

V = TypeVar("V", bound=int)
P = TypeVar("P", bound=int)
Kind = Literal["pages", "embs", "slots", "matchers"]
"""Of what is named and held."""


class Absence(Enum):
    """Why a lease holds no memory."""

    EMPTY = "nothing was written yet; memory is found at the first use"
    LOST = "the contents went with a failed pass or a dead driver"
    SWAPPED = "the contents wait in host memory or on disk: its program is suspended"
    FREED = "its queue has reached the command that frees it"


WITH_A_PASS = "with a failed pass or a restarted driver"


class Origin(Protocol):
    """What a page was imported from."""

    @property
    def name(self) -> str: ...

    def left(self, reader: object) -> None:
        """The page was given back."""
        ...


class Lease(Generic[V, P]):
    """One virtual page, embedding, slot or matcher. `absence` counts only while `physical` is None.

    Queued commands keep leases, not ids: an id that is freed and allocated again is another lease.
    Swapping moves a lease between `physical` and other tiers without its commands noticing.
    """

    __slots__ = ("absence", "host", "loss", "name", "noun", "origin", "physical")

    def __init__(self, noun: str, name: V) -> None:
        self.noun = noun
        self.name = name
        self.physical: P | None = None
        self.absence = Absence.EMPTY
        self.host: HostPlace | None = None
        """Where the contents wait while the program is suspended."""
        self.loss = WITH_A_PASS
        """How the contents were lost, where they were."""
        self.origin: Origin | None = None
        """Somebody else's: it can be read but not written."""

    @property
    def is_empty(self) -> bool:
        """It has no contents anywhere."""
        return self.physical is None and self.host is None

    def vanish(self, absence: Absence, loss: str = WITH_A_PASS) -> None:
        self.physical = None
        self.host = None
        self.absence = absence
        self.loss = loss

    def unreadable(self) -> PieError:
        """The error of a command that needs contents which are not there."""
        if self.absence is Absence.EMPTY:
            return InvalidArgument(f"{self.noun} {self.name} is read before anything was written to it")
        return self.unusable()

    def unusable(self) -> PieError:
        """The error of a command that needs a lease which was lost or freed."""
        if self.absence is Absence.FREED:
            return UnknownId(
                f"{self.noun} {self.name} was freed by another queue before this command ran: "
                "synchronize that queue first"
            )
        return Unavailable(
            f"the contents of {self.noun} {self.name} were lost {self.loss}: free it, allocate it again and "
            "recompute"
        )


PageLease = Lease[VirtualPage, PhysicalPage]
EmbLease = Lease[VirtualEmb, PhysicalEmb]
SlotLease = Lease[VirtualSlot, PhysicalSlot]
MatcherLease = Lease[VirtualMatcher, PhysicalMatcher]


def all_held(places: list[P | None], distinct: set[P | None]) -> TypeGuard[list[P]]:
    """Whether no lease of a list is without memory. `distinct` is the same as a set: asking it is O(1)."""
    del places
    return None not in distinct
