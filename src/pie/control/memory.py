"""The physical memory of one model: who holds what, and what happens when it goes away."""

from collections.abc import Iterable, Sequence

from pie.control.addresses import AddressSpace
from pie.control.leases import Absence, EmbLease, PageLease
from pie.control.pool import Pool
from pie.core.errors import InternalError
from pie.core.ids import PhysicalEmb, PhysicalPage


class Memory:
    """Pools and address spaces of one model. Every change of a lease's place goes through here."""

    def __init__(self, pages: int, embs: int) -> None:
        self.pages = Pool("page", [PhysicalPage(i) for i in range(pages)])
        self.embs = Pool("emb", [PhysicalEmb(i) for i in range(embs)])
        self.spaces: dict[AddressSpace, None] = {}

    def give_page(self, space: AddressSpace, lease: PageLease, now: float) -> PhysicalPage:
        """A page of its own for a lease without one. `pages.lacks` was asked before."""
        page = lease.physical = self.pages.take()
        space.held_pages.change(1, now)
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
            self.free_pages(space, [dst], now)
        dst.vanish(Absence.EMPTY)
        if src.physical is not None:
            self.pages.share(src.physical)
            dst.physical = src.physical
            space.held_pages.change(1, now)

    def give_embs(self, space: AddressSpace, leases: Sequence[EmbLease], now: float) -> None:
        """Slots for leases without one. `embs.lacks` was asked before."""
        for lease, slot in zip(leases, self.embs.take_many(len(leases)), strict=True):
            lease.physical = slot
            lease.absence = Absence.EMPTY
        space.held_embs.change(len(leases), now)

    def free_pages(self, space: AddressSpace, leases: Iterable[PageLease], now: float) -> None:
        self._drop_pages(space, leases, Absence.FREED, now)
        space.pages.left(leases)

    def free_embs(self, space: AddressSpace, leases: Iterable[EmbLease], now: float) -> None:
        self._drop_embs(space, leases, Absence.FREED, now)
        space.embs.left(leases)

    def close_space(self, space: AddressSpace, now: float) -> None:
        """Everything goes back, whether or not a queue still has to reach it."""
        self.free_pages(space, space.pages.living(), now)
        self.free_embs(space, space.embs.living(), now)
        space.pages.forget()
        space.embs.forget()
        del self.spaces[space]

    def lose(self, pages: set[PhysicalPage], embs: set[PhysicalEmb], now: float) -> None:
        """Contents that nobody can trust any more: all who share them lose them. Rare, so it searches."""
        for space in self.spaces:
            named_pages = [lease for lease in space.pages.living() if lease.physical in pages]
            self._drop_pages(space, named_pages, Absence.LOST, now)
            named_embs = [lease for lease in space.embs.living() if lease.physical in embs]
            self._drop_embs(space, named_embs, Absence.LOST, now)

    def lose_all(self, now: float) -> None:
        for space in self.spaces:
            held_pages = [lease for lease in space.pages.living() if lease.physical is not None]
            self._drop_pages(space, held_pages, Absence.LOST, now)
            held_embs = [lease for lease in space.embs.living() if lease.physical is not None]
            self._drop_embs(space, held_embs, Absence.LOST, now)

    def settle(self) -> None:
        self.pages.settle()
        self.embs.settle()

    def check_integrity(self) -> None:
        """Raises `InternalError` unless free + held + swapped is the total, and leases and pools agree."""
        pages = [lease.physical for space in self.spaces for lease in space.pages.living()]
        embs = [lease.physical for space in self.spaces for lease in space.embs.living()]
        self.pages.check_integrity(page for page in pages if page is not None)
        self.embs.check_integrity(emb for emb in embs if emb is not None)
        metered = sum(space.held_pages.held for space in self.spaces)
        if metered != sum(page is not None for page in pages):
            raise InternalError("the meters of the programs do not add up to the pages they hold")

    def _drop_pages(
        self, space: AddressSpace, leases: Iterable[PageLease], absence: Absence, now: float
    ) -> None:
        count = 0
        for lease in leases:
            if lease.physical is not None:
                self.pages.release(lease.physical)
                count += 1
            lease.vanish(absence)
        space.held_pages.change(-count, now)

    def _drop_embs(
        self, space: AddressSpace, leases: Iterable[EmbLease], absence: Absence, now: float
    ) -> None:
        count = 0
        for lease in leases:
            if lease.physical is not None:
                self.embs.release(lease.physical)
                count += 1
            lease.vanish(absence)
        space.held_embs.change(-count, now)
