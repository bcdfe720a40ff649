"""One pass under construction: finds physical places for commands and fills the columns for the driver."""

from collections.abc import Iterable

from pie.control.addresses import AddressSpace
from pie.control.columns import Columns
from pie.control.conflicts import Touched
from pie.control.leases import Absence, EmbLease, PageLease, all_held
from pie.control.memory import Memory
from pie.control.queue import CommandQueue
from pie.control.settings import ControlSettings
from pie.control.ticket import DistTicket, Entry, Ticket
from pie.control.work import CopyWork, DistWork, DriverWork, EmbedWork, ForwardWork, MaskWork
from pie.core.commands import Completion
from pie.core.ids import PhysicalPage


class Claims:
    """Pages that a command needs before it can ride along."""

    __slots__ = ("fresh", "moved")

    def __init__(self) -> None:
        self.fresh: dict[PageLease, None] = {}
        """Leases without a page."""
        self.moved: dict[PageLease, None] = {}
        """Leases that are written and share their page. They move even if the others leave meanwhile:
        what was allowed was a copy from the page, not a write to it."""

    def __len__(self) -> int:
        return len(self.fresh) + len(self.moved)


class Batch:
    """Commands are offered in queue order with `place`. One that does not ride along changes nothing."""

    def __init__(self, memory: Memory, settings: ControlSettings, page_size: int, now: float) -> None:
        self._memory = memory
        self._page_size = page_size
        self._now = now
        self._fuse = settings.fuse
        self._max_tokens = settings.max_batch_tokens
        self._max_dists = settings.max_batch_dists
        self.syncs: list[tuple[CommandQueue, Completion]] = []
        """Synchronizations that end with this pass."""
        self._columns = Columns()
        self._touched = Touched()
        self._entries: list[Entry] = []
        self._dists: list[DistTicket] = []
        self._only: type[DriverWork] | None = None

    def __len__(self) -> int:
        """How many queues have a part in it."""
        return len(self._entries)

    def place(self, entry: Entry, work: DriverWork) -> bool:
        """Whether `work` rides along; if not, its queue's prefix ends here.

        Raises what must poison the queue: memory used up, contents lost, something never written.
        """
        if self._only is not None and type(work) is not self._only:
            return False
        if isinstance(work, ForwardWork):
            fits = self._place_forward(entry, work)
        elif isinstance(work, EmbedWork):
            fits = self._place_embed(entry.queue.space, work)
        elif isinstance(work, DistWork):
            fits = self._place_dist(entry, work)
        elif isinstance(work, CopyWork):
            fits = self._place_copy(entry.queue.space, work)
        else:
            fits = self._place_mask(entry.queue.space, work)
        if not fits:
            return False
        if not self._fuse:
            self._only = type(work)
        if not entry.commands:
            self._entries.append(entry)
        entry.commands += 1
        entry.size += work.size
        return True

    def finish(self, number: int) -> Ticket:
        touched = self._touched
        return Ticket(
            self._columns.finish(number),
            self._entries,
            self._dists,
            self.syncs,
            written_pages=touched.pages_changed | touched.pages_written,
            written_embs=touched.embs_embedded | touched.embs_produced,
        )

    def _place_embed(self, space: AddressSpace, work: EmbedWork) -> bool:
        touched = self._touched
        places = [lease.physical for lease in work.embs]
        distinct = set(places)
        if not touched.embs.isdisjoint(distinct):
            return False
        if all_held(places, distinct):
            slots = places
        elif self._give_embs(space, work.embs):
            slots = [lease.physical for lease in work.embs if lease.physical is not None]
        else:
            return False
        columns = self._columns
        columns.embed_tokens += work.tokens
        columns.embed_positions += work.positions
        columns.embed_slots += slots
        touched.embs.update(slots)
        touched.embs_embedded.update(slots)
        return True

    def _place_dist(self, entry: Entry, work: DistWork) -> bool:
        slot = work.emb.physical
        columns = self._columns
        if slot is None:
            raise work.emb.unreadable()
        if len(columns.dist_slots) >= self._max_dists:
            return False
        columns.dist_slots.append(slot)
        columns.dist_top_k.append(work.top_k)
        columns.dist_tokens += work.tokens
        columns.dist_token_starts.append(len(columns.dist_tokens))
        self._touched.embs_scored.add(slot)
        self._touched.embs.add(slot)
        self._dists.append(DistTicket(entry.queue, work.completion, work.tokens))
        entry.dists += 1
        return True

    def _place_copy(self, space: AddressSpace, work: CopyWork) -> bool:
        claims = Claims()
        for src, dst in zip(work.src, work.dst, strict=True):
            if not (self._claim_copy_from(src, claims) and self._claim_copy_to(dst, claims)):
                return False
        if not self._settle(space, claims):
            return False
        copies = self._columns.copies
        for src, dst, span in zip(work.src, work.dst, work.spans, strict=True):
            if span.length and src.physical is not None and dst.physical is not None:
                copies += (src.physical, span.src_offset, dst.physical, span.dst_offset, span.length)
                self._touched.pages_changed.add(dst.physical)
        return True

    def _place_mask(self, space: AddressSpace, work: MaskWork) -> bool:
        claims = Claims()
        if not (self._claim_copy_to(work.page, claims) and self._settle(space, claims)):
            return False
        page = work.page.physical
        if page is not None:
            self._columns.page_masks += (page, work.visible)
            self._touched.pages_masked.add(page)
            self._touched.pages_changed.add(page)
        return True

    def _place_forward(self, entry: Entry, work: ForwardWork) -> bool:
        columns, touched, inputs = self._columns, self._touched, work.inputs
        if columns.inputs and len(columns.inputs) + len(inputs) > self._max_tokens:
            return False
        slots = [lease.physical for lease in inputs]
        distinct = set(slots)
        if not all_held(slots, distinct):
            raise next(lease for lease in inputs if lease.physical is None).unreadable()
        if not (touched.embs_produced.isdisjoint(distinct) and self._may_output(work)):
            return False
        pages = self._find_pages(entry.queue.space, work)
        if pages is None:
            return False
        touched.pages_read.update(pages)
        touched.embs.update(slots)
        self._add_targets(work, len(inputs))
        self._add_outputs(work)
        columns.inputs += slots
        columns.input_starts.append(len(columns.inputs))
        columns.read_pages += pages
        columns.read_starts.append(len(columns.read_pages))
        entry.tokens += len(inputs)
        return True

    def _may_output(self, work: ForwardWork) -> bool:
        touched = self._touched
        for lease in work.outputs:
            slot = lease.physical
            if slot in touched.embs_produced or slot in touched.embs_scored:
                return False
        return True

    def _find_pages(self, space: AddressSpace, work: ForwardWork) -> list[PhysicalPage] | None:
        """All memory a forward needs. The pages it reads, or None where it must wait for the next pass."""
        claims = Claims()
        for lease in work.writes:
            if not self._claim_write(lease, claims):
                return None
        places = [lease.physical for lease in work.reads]
        distinct = set(places)
        if not self._touched.pages_written.isdisjoint(distinct):
            return None
        if None in distinct:
            self._claim_reads(work, claims)
        if (claims.fresh or claims.moved) and self._memory.pages.lacks(len(claims)):
            return None
        if not self._give_embs(space, work.outputs):
            return None
        if claims.fresh or claims.moved:
            self._give_pages(space, claims)
            places = [lease.physical for lease in work.reads]
            distinct = set(places)
        return places if all_held(places, distinct) else [page for page in places if page is not None]

    def _add_outputs(self, work: ForwardWork) -> None:
        columns, touched = self._columns, self._touched
        base = len(columns.inputs)
        for row, lease in zip(work.rows, work.outputs, strict=True):
            slot = lease.physical
            if slot is not None:
                columns.outputs += (base + row, slot)
                touched.embs_produced.add(slot)
                touched.embs.add(slot)

    def _add_targets(self, work: ForwardWork, count: int) -> None:
        columns, size, offset = self._columns, self._page_size, work.offset
        if work.mask is not None:
            columns.add_mask(work.mask)
        if not work.writes:
            columns.targets += [-1] * count
        for lease in work.writes:
            page = lease.physical
            if page is not None:
                start = page * size + offset
                room = min(size - offset, count)
                columns.targets += range(start, start + room)
                self._touched.pages_written.add(page)
                count -= room
                offset = 0

    def _claim_copy_from(self, lease: PageLease, claims: Claims) -> bool:
        page = lease.physical
        if page is not None:
            return self._touched.may_copy_from(page)
        self._claim_fresh(lease, claims)
        return True

    def _claim_copy_to(self, lease: PageLease, claims: Claims) -> bool:
        page = lease.physical
        if page is None or self._memory.pages.refs[page] > 1:
            return self._claim_own(lease, page, claims)
        return self._touched.may_copy_to(page)

    def _claim_write(self, lease: PageLease, claims: Claims) -> bool:
        page = lease.physical
        if page is None or self._memory.pages.refs[page] > 1:
            return self._claim_own(lease, page, claims)
        return self._touched.may_write(page)

    def _claim_own(self, lease: PageLease, page: PhysicalPage | None, claims: Claims) -> bool:
        if page is None:
            self._claim_fresh(lease, claims)
            return True
        claims.moved[lease] = None
        return self._touched.may_copy_from(page)

    def _claim_reads(self, work: ForwardWork, claims: Claims) -> None:
        """Pages in which nothing was ever written are not read, unless a mask counts their tokens."""
        for lease in work.reads:
            if lease.physical is None:
                if lease.absence is not Absence.EMPTY:
                    raise lease.unusable()
                if work.mask is not None:
                    self._claim_fresh(lease, claims)

    def _claim_fresh(self, lease: PageLease, claims: Claims) -> None:
        if lease.absence is not Absence.EMPTY:
            raise lease.unusable()
        claims.fresh[lease] = None

    def _settle(self, space: AddressSpace, claims: Claims) -> bool:
        if self._memory.pages.lacks(len(claims)):
            return False
        self._give_pages(space, claims)
        return True

    def _give_pages(self, space: AddressSpace, claims: Claims) -> None:
        columns, changed = self._columns, self._touched.pages_changed
        for lease in claims.fresh:
            page = self._memory.give_page(space, lease, self._now)
            columns.fresh_pages.append(page)
            changed.add(page)
        for lease in claims.moved:
            source, page = self._memory.move_page(lease)
            columns.copies += (source, 0, page, 0, self._page_size)
            changed.add(page)

    def _give_embs(self, space: AddressSpace, leases: Iterable[EmbLease]) -> bool:
        """Slots for those that have none; False where they must wait for the next pass."""
        missing = [lease for lease in leases if lease.physical is None]
        if not missing:
            return True
        for lease in missing:
            if lease.absence is Absence.FREED:
                raise lease.unusable()
        if self._memory.embs.lacks(len(missing)):
            return False
        self._memory.give_embs(space, missing, self._now)
        return True
