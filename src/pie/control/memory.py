"""The physical memory of one model: who holds what, and what happens when it goes away."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pie.control.addresses import AddressSpace, NameTable
from pie.control.leases import Absence, Kind, Lease, P, PageLease, V
from pie.control.pool import Pool
from pie.control.sampled import Sampled
from pie.control.shelf import GrammarShelf
from pie.core.driver import DriverSpec
from pie.core.errors import InternalError
from pie.core.ids import PhysicalEmb, PhysicalMatcher, PhysicalPage, PhysicalSlot


def _nothing(count: int, now: float) -> None:
    """There is nothing to evict."""


class Memory:
    """Pools and address spaces of one model. Every change of a lease's place goes through here."""

    def __init__(self, spec: DriverSpec) -> None:
        self.pages = Pool("page", [PhysicalPage(i) for i in range(spec.pages)])
        self.embs = Pool("emb", [PhysicalEmb(i) for i in range(spec.embs)])
        self.slots = Pool("slot", [PhysicalSlot(i) for i in range(spec.slots)])
        self.matchers = Pool("matcher", [PhysicalMatcher(i) for i in range(spec.matchers)])
        self.pools: dict[Kind, Pool[Any]] = {
            "pages": self.pages,
            "embs": self.embs,
            "slots": self.slots,
            "matchers": self.matchers,
        }
        self.shelf = GrammarShelf(spec.grammars)
        self.dropped: list[PhysicalMatcher] = []
        """Needed no more; the driver is told with the next pass."""
        self.sampled: dict[PhysicalSlot, Sampled] = {}
        """What was last put into each slot."""
        self.spaces: dict[AddressSpace, None] = {}
        self.evict: Callable[[int, float], None] = _nothing
        """Gives up so many pages that nobody is promised any more, if there are."""

    def lacks_pages(self, count: int, now: float) -> bool:
        """Whether a command that needs `count` pages must wait for the next pass.

        Raises `OutOfResources` where waiting would not help.
        """
        pages = self.pages
        if count > len(pages.free) + len(pages.parked):
            self.evict(count - len(pages.free) - len(pages.parked), now)
        return pages.lacks(count)

    def give_page(self, space: AddressSpace, lease: PageLease, now: float) -> PhysicalPage:
        """A page of its own for a lease without one. `pages.lacks` was asked before."""
        page = lease.physical = self.pages.take()
        space.pages.held.change(1, now)
        return page

    def move_page(self, lease: PageLease) -> tuple[PhysicalPage, PhysicalPage]:
        """A page of its own for a lease that shares one: old and new; the caller copies the contents."""
        old = lease.physical
        if old is None:
            raise InternalError(f"page {lease.name} shares nothing")
        new = lease.physical = self.pages.take()
        self.pages.release(old)
        return old, new

    def fork_page(self, space: AddressSpace, src: PageLease, dst: PageLease, now: float) -> None:
        """`dst` becomes what `src` is. Raises what makes one of them unusable."""
        if src.absence is not Absence.EMPTY:
            raise src.unusable()
        if dst.absence is Absence.FREED:
            raise dst.unusable()
        if dst.physical is not None:
            self.free(space, "pages", [dst], now)
        dst.vanish(Absence.EMPTY)
        if src.physical is not None:
            self.pages.share(src.physical)
            dst.physical = src.physical
            space.pages.held.change(1, now)

    def give(
        self, pool: Pool[P], table: NameTable[V, P], leases: Sequence[Lease[V, P]], now: float
    ) -> None:
        """Places for leases without one. `lacks` was asked before."""
        for lease, place in zip(leases, pool.take_many(len(leases)), strict=True):
            lease.physical = place
            lease.absence = Absence.EMPTY
        table.held.change(len(leases), now)

    def free(self, space: AddressSpace, kind: Kind, leases: Iterable[Lease[Any, Any]], now: float) -> None:
        """Their queue has reached the command that frees them."""
        self._drop(space, kind, leases, Absence.FREED, now)
        space.tables[kind].left(leases)

    def close_space(self, space: AddressSpace, now: float) -> None:
        """Everything goes back, whether or not a queue still has to reach it."""
        for kind, table in space.tables.items():
            self.free(space, kind, table.living(), now)
            table.forget()
        del self.spaces[space]

    def lose(self, written: Mapping[Kind, set[Any]], now: float) -> None:
        """Contents that nobody can trust any more: all who share them lose them. Rare, so it searches."""
        self.shelf.clear()
        for space in self.spaces:
            for kind, places in written.items():
                living = space.tables[kind].living() if places else []
                self._drop(
                    space, kind, [lease for lease in living if lease.physical in places], Absence.LOST, now
                )

    def lose_all(self, now: float) -> None:
        self.shelf.clear()
        for space in self.spaces:
            for kind, table in space.tables.items():
                held = [lease for lease in table.living() if lease.physical is not None]
                self._drop(space, kind, held, Absence.LOST, now)

    def settle(self) -> None:
        for pool in self.pools.values():
            pool.settle()

    def check_integrity(self) -> None:
        """Raises `InternalError` unless free + held + swapped is the total, and leases and pools agree."""
        for kind, pool in self.pools.items():
            living = [lease for space in self.spaces for lease in space.tables[kind].living()]
            held = [lease.physical for lease in living if lease.physical is not None]
            pool.check_integrity(held)
            if sum(space.tables[kind].held.held for space in self.spaces) != len(held):
                raise InternalError(f"the meters of the programs do not add up to the {kind} they hold")

    def _drop(
        self,
        space: AddressSpace,
        kind: Kind,
        leases: Iterable[Lease[Any, Any]],
        absence: Absence,
        now: float,
    ) -> None:
        pool, count = self.pools[kind], 0
        for lease in leases:
            if lease.physical is not None:
                pool.release(lease.physical)
                count += 1
                if kind == "matchers":
                    self.dropped.append(lease.physical)
            lease.vanish(absence)
        space.tables[kind].held.change(-count, now)
