"""Which pages a command needs before it can ride along, and giving them to it."""

from pie.control.addresses import AddressSpace
from pie.control.batch import Batch
from pie.control.leases import Absence, PageLease
from pie.control.queue import CommandQueue
from pie.core.ids import PhysicalPage


class Claims:
    """Of one command. Claiming changes nothing; `settle` does."""

    __slots__ = ("_batch", "fresh", "moved")

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.fresh: dict[PageLease, None] = {}
        """Leases without a page."""
        self.moved: dict[PageLease, None] = {}
        """Leases that are written and share their page. They move even if the others leave meanwhile:
        what was allowed was a copy from the page, not a write to it."""

    def copy_from(self, lease: PageLease) -> bool:
        """Whether the pass can copy from it."""
        page = lease.physical
        if page is not None:
            return self._batch.touched.may_copy_from(page)
        self.claim_fresh(lease)
        return True

    def copy_to(self, lease: PageLease) -> bool:
        page = lease.physical
        if page is None or self._batch.memory.pages.refs[page] > 1:
            return self._claim_own(lease, page)
        return self._batch.touched.may_copy_to(page)

    def write(self, lease: PageLease) -> bool:
        """Whether a forward of the pass can write to it."""
        page = lease.physical
        if page is None or self._batch.memory.pages.refs[page] > 1:
            return self._claim_own(lease, page)
        return self._batch.touched.may_write(page)

    def claim_fresh(self, lease: PageLease) -> None:
        if lease.absence is not Absence.EMPTY:
            raise lease.unusable()
        self.fresh[lease] = None

    def lack(self, queue: CommandQueue) -> bool:
        """Whether the command must wait for pages. Raises `OutOfResources` where waiting does not help."""
        count = len(self.fresh) + len(self.moved)
        return bool(count) and self._batch.pressure.lacks(self._batch, queue, count)

    def settle(self, queue: CommandQueue) -> bool:
        """Gives the pages; False where they must wait for the next pass."""
        if self.lack(queue):
            return False
        self.give(queue.space)
        return True

    def give(self, space: AddressSpace) -> None:
        """`lack` was asked before."""
        batch = self._batch
        columns, changed = batch.columns, batch.touched.pages_changed
        for lease in self.fresh:
            page = batch.memory.give_page(space, lease, batch.now)
            columns.fresh_pages.append(page)
            changed.add(page)
        for lease in self.moved:
            source, page = batch.memory.move_page(lease)
            columns.copies += (source, 0, page, 0, batch.spec.page_size)
            changed.add(page)

    def _claim_own(self, lease: PageLease, page: PhysicalPage | None) -> bool:
        if page is None:
            self.claim_fresh(lease)
            return True
        self.moved[lease] = None
        return self._batch.touched.may_copy_from(page)
