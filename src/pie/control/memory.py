"""The physical memory of one model: who holds what, and what happens when it goes away."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from pie.control.addresses import AddressSpace, NameTable
from pie.control.leases import WITH_A_PASS, Absence, Kind, Lease, P, PageLease, V
from pie.control.pool import Pool
from pie.control.sampled import Sampled
from pie.control.shelf import GrammarShelf
from pie.core.driver import DriverSpec
from pie.core.errors import InternalError
from pie.core.ids import HostPlace, PhysicalEmb, PhysicalMatcher, PhysicalPage, PhysicalSlot


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
        self.host = Pool("host page", [HostPlace(i) for i in range(spec.host_pages + spec.disk_pages)])
        """Where pages of suspended programs wait: in memory first, then on disk."""
        self._first_on_disk = spec.host_pages
        self.shelf = GrammarShelf(spec.grammars)
        self.dropped: list[PhysicalMatcher] = []
        """Needed no more; the driver is told with the next pass."""
        self.sampled: dict[PhysicalSlot, Sampled] = {}
        """What was last put into each slot."""
        self.spaces: dict[AddressSpace, None] = {}
        self._spaces_made = 0
        self.evict: Callable[[int, float], None] = _nothing
        """Gives up so many pages that nobody is promised any more, if there are."""

    def lacks_pages(self, count: int, now: float) -> bool:
        """Whether a command that needs `count` pages must wait for the next pass.

        Raises `OutOfResources` where only others could help, by giving theirs up.
        """
        if count > self.obtainable_pages:
            self.evict(count - self.obtainable_pages, now)
        return self.pages.lacks(count)

    @property
    def obtainable_pages(self) -> int:
        """Free ones, and those that are when the pass under construction has been built."""
        return len(self.pages.free) + len(self.pages.parked)

    def add(self, space: AddressSpace) -> None:
        """A program's names; it is younger than all that are there."""
        self._spaces_made += 1
        space.number = self._spaces_made
        self.spaces[space] = None

    def movable(self, space: AddressSpace) -> dict[PhysicalPage, list[PageLease]]:
        """Pages that nobody but the named leases of one program holds."""
        found: dict[PhysicalPage, list[PageLease]] = {}
        for lease in space.pages.leases.values():
            if lease.physical is not None and lease.origin is None:
                found.setdefault(lease.physical, []).append(lease)
        refs = self.pages.refs
        return {page: leases for page, leases in found.items() if refs[page] == len(leases)}

    def swap_out(self, space: AddressSpace, now: float) -> list[tuple[PhysicalPage, HostPlace]]:
        """Gives up the program's pages, as far as host memory has room: from where to where. The pages are
        free when the pass under construction has been built."""
        moves: list[tuple[PhysicalPage, HostPlace]] = []
        self.host.free.sort(reverse=True)  # memory is taken before disk
        for page, leases in islice(self.movable(space).items(), len(self.host.free)):
            place = self.host.take()
            for lease in leases:
                self.pages.release(page)
                lease.vanish(Absence.SWAPPED)
                lease.host = place
            for _ in leases[1:]:
                self.host.share(place)
            space.pages.held.change(-len(leases), now)
            moves.append((page, place))
        return moves

    def is_on_disk(self, place: HostPlace) -> bool:
        return place >= self._first_on_disk

    @property
    def pages_on_disk(self) -> int:
        return sum(map(bool, self.host.refs[self._first_on_disk :]))

    def swapped(self, space: AddressSpace) -> dict[HostPlace, list[PageLease]]:
        """What waits in host memory, and the leases that stand for it."""
        found: dict[HostPlace, list[PageLease]] = {}
        for lease in space.pages.living():
            if lease.host is not None:
                found.setdefault(lease.host, []).append(lease)
        return found

    def swap_in(self, space: AddressSpace, now: float) -> list[tuple[HostPlace, PhysicalPage]]:
        """Brings everything back: from where to where. There are pages enough for `swapped`."""
        moves: list[tuple[HostPlace, PhysicalPage]] = []
        for place, leases in self.swapped(space).items():
            page = self.pages.take()
            for lease in leases:
                self.host.release(place)
                lease.vanish(Absence.EMPTY)
                lease.physical = page
            for _ in leases[1:]:
                self.pages.share(page)
            space.pages.held.change(len(leases), now)
            moves.append((place, page))
        return moves

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

    def give(self, pool: Pool[P], table: NameTable[V, P], leases: Sequence[Lease[V, P]], now: float) -> None:
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

    def lose_swapped(self, places: set[HostPlace], now: float) -> None:
        """The pass that should have brought them to host memory has failed."""
        for space in self.spaces:
            lost = [lease for lease in space.pages.living() if lease.host in places]
            self._drop(space, "pages", lost, Absence.LOST, now)

    def lose_pages(self, lost: Mapping[PhysicalPage, str], now: float) -> None:
        """The contents of these are gone, and how."""
        for space in self.spaces:
            for lease in space.pages.living():
                if lease.physical is not None and lease.physical in lost:
                    self._drop(space, "pages", [lease], Absence.LOST, now, lost[lease.physical])

    def lose_all(self, now: float) -> None:
        self.shelf.clear()
        for space in self.spaces:
            for kind, table in space.tables.items():
                held = [lease for lease in table.living() if not lease.is_empty]
                self._drop(space, kind, held, Absence.LOST, now)

    def settle(self) -> None:
        for pool in self.pools.values():
            pool.settle()
        self.host.settle()

    def check_integrity(self) -> None:
        """Raises `InternalError` unless free + held is the total, on the device and in host memory, and
        leases and pools agree."""
        for kind, pool in self.pools.items():
            living = [lease for space in self.spaces for lease in space.tables[kind].living()]
            held = [lease.physical for lease in living if lease.physical is not None]
            pool.check_integrity(held)
            if sum(space.tables[kind].held.held for space in self.spaces) != len(held):
                raise InternalError(f"the meters of the programs do not add up to the {kind} they hold")
        pages = [lease for space in self.spaces for lease in space.pages.living()]
        self.host.check_integrity(lease.host for lease in pages if lease.host is not None)

    def _drop(
        self,
        space: AddressSpace,
        kind: Kind,
        leases: Iterable[Lease[Any, Any]],
        absence: Absence,
        now: float,
        loss: str = WITH_A_PASS,
    ) -> None:
        pool, count = self.pools[kind], 0
        for lease in leases:
            if lease.physical is not None:
                pool.release(lease.physical)
                count += 1
                if kind == "matchers":
                    self.dropped.append(lease.physical)
            if lease.host is not None:
                self.host.release(lease.host)
            lease.vanish(absence, loss)
        space.tables[kind].held.change(-count, now)
