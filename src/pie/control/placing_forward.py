"""Embeds, forwards and distributions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pie.control.addresses import AddressSpace
from pie.control.batch import Batch, Placer
from pie.control.chunks import can_split, split
from pie.control.claims import Claims
from pie.control.columns import Columns
from pie.control.leases import Absence, EmbLease, all_held
from pie.control.matchers import look, may_look
from pie.control.queue import CommandQueue
from pie.control.ticket import DistTicket, Entry
from pie.control.work import DistWork, EmbedWork, ForwardWork
from pie.core.ids import PhysicalEmb, PhysicalPage

WHOLE = 1.25
"""Forwards of up to so many times the budget for prompts are short: they go whole."""


def find_targets(batch: Batch, space: AddressSpace, leases: list[EmbLease]) -> list[PhysicalEmb] | None:
    """Places that an embed may write to; None where it must wait for the next pass."""
    places = [lease.physical for lease in leases]
    distinct = set(places)
    if not batch.touched.embs.isdisjoint(distinct):
        return None
    if all_held(places, distinct):
        return places
    if not batch.give(batch.memory.embs, space.embs, leases):
        return None
    return [lease.physical for lease in leases if lease.physical is not None]


def place_embed(batch: Batch, entry: Entry, work: EmbedWork) -> bool:
    places = find_targets(batch, entry.queue.space, work.embs)
    if places is None:
        return False
    columns = batch.columns
    columns.embed_tokens += work.tokens
    columns.embed_positions += work.positions
    columns.embed_slots += places
    batch.touched.embed(places)
    batch.embedded[entry.queue] = work
    return True


def find_state(batch: Batch, emb: EmbLease, rows: int = 1) -> PhysicalEmb | None:
    """Where a hidden state lies; None where the pass has no room for so many more rows of logits."""
    if emb.physical is None:
        raise emb.unreadable()
    there = rows_of_logits(batch.columns)
    if there and there + rows > batch.settings.max_batch_dists:
        return None
    return emb.physical


def rows_of_logits(columns: Columns) -> int:
    return len(columns.dist_slots) + len(columns.sample_embs) + len(columns.score_slots)


def place_dist(batch: Batch, entry: Entry, work: DistWork) -> bool:
    place, matcher = find_state(batch, work.emb), may_look(batch, work.matcher)
    if place is None or matcher is None:
        return False
    look(batch, entry, work.matcher)
    columns = batch.columns
    columns.dist_matchers.append(matcher)
    columns.dist_slots.append(place)
    columns.dist_top_k.append(work.top_k)
    columns.dist_tokens += work.tokens
    columns.dist_token_starts.append(len(columns.dist_tokens))
    batch.touched.score(place)
    batch.dists.append(DistTicket(entry.queue, work.completion, work.tokens))
    entry.dists += 1
    return True


def place_forward(batch: Batch, entry: Entry, work: ForwardWork) -> bool:
    """A long one may have a part placed, and is then what is left of it."""
    count, settings = len(work.inputs), batch.settings
    budgeted = count > 1 and is_budgeted(batch, entry.queue, count)
    room = room_for(batch, budgeted)
    if count <= room:
        return place_some(batch, entry, work, budgeted)
    if settings.fuse and room >= batch.spec.page_size and can_split(work, batch.embedded.get(entry.queue)):
        head, rest = split(work, room, batch.spec.page_size)
        if place_some(batch, entry, head, budgeted):
            batch.join(entry)
            work.become(rest)
        return False
    taken = len(batch.columns.inputs)
    if (budgeted and batch.prefilled) or (taken and taken + count > batch.most_inputs):
        return False
    return place_some(batch, entry, work, budgeted)


def is_budgeted(batch: Batch, queue: CommandQueue, count: int) -> bool:
    """Whether a forward of so many inputs would hold up others for longer than they have to bear."""
    return count > batch.settings.prefill_tokens * WHOLE or batch.holds_up_others(queue)


def room_for(batch: Batch, budgeted: bool) -> int:
    """How many inputs of one forward the pass may still take. Of a prompt at least a page, or it were never
    read where others must not wait."""
    settings, taken = batch.settings, len(batch.columns.inputs)
    room = batch.most_inputs - taken
    if not budgeted:
        return room
    if not batch.prefilled:
        room = max(room, min(batch.spec.page_size, settings.max_batch_tokens - taken))
    return min(room, settings.prefill_tokens - batch.prefilled)


def place_some(batch: Batch, entry: Entry, work: ForwardWork, budgeted: bool) -> bool:
    if not place_whole(batch, entry, work):
        return False
    if budgeted:
        batch.prefilled += len(work.inputs)
    return True


def place_whole(batch: Batch, entry: Entry, work: ForwardWork) -> bool:
    columns, touched, inputs = batch.columns, batch.touched, work.inputs
    slots = [lease.physical for lease in inputs]
    distinct = set(slots)
    if not all_held(slots, distinct):
        raise next(lease for lease in inputs if lease.physical is None).unreadable()
    if not (touched.embs_produced.isdisjoint(distinct) and _may_output(batch, work)):
        return False
    pages = find_pages(batch, entry.queue, work)
    if pages is None:
        return False
    touched.pages_read.update(pages)
    touched.embs.update(slots)
    add_targets(batch, work, len(inputs))
    _add_outputs(batch, work)
    if work.adapter:
        columns.adapted += (len(columns.input_starts) - 1, batch.spec.adapters.index(work.adapter))
    columns.inputs += slots
    columns.input_starts.append(len(columns.inputs))
    columns.read_pages += pages
    columns.read_starts.append(len(columns.read_pages))
    entry.tokens += len(inputs)
    return True


def _may_output(batch: Batch, work: ForwardWork) -> bool:
    touched = batch.touched
    for lease in work.outputs:
        slot = lease.physical
        if slot in touched.embs_produced or slot in touched.embs_scored:
            return False
    return True


def find_pages(batch: Batch, queue: CommandQueue, work: ForwardWork) -> list[PhysicalPage] | None:
    """All memory a forward needs. The pages it reads, or None where it must wait for the next pass."""
    claims = Claims(batch)
    for lease in work.writes:
        if not claims.write(lease):
            return None
    places = [lease.physical for lease in work.reads]
    distinct = set(places)
    if not batch.touched.pages_written.isdisjoint(distinct):
        return None
    if None in distinct:
        _claim_reads(work, claims)
    if claims.lack(queue) or not batch.give(batch.memory.embs, queue.space.embs, work.outputs):
        return None
    if claims.fresh or claims.moved:
        claims.give(queue.space)
        places = [lease.physical for lease in work.reads]
        distinct = set(places)
    return places if all_held(places, distinct) else [page for page in places if page is not None]


def _claim_reads(work: ForwardWork, claims: Claims) -> None:
    """Pages in which nothing was ever written are not read, unless a mask counts their tokens."""
    for lease in work.reads:
        if lease.physical is None:
            if lease.absence is not Absence.EMPTY:
                raise lease.unusable()
            if work.mask is not None:
                claims.claim_fresh(lease)


def _add_outputs(batch: Batch, work: ForwardWork) -> None:
    columns, touched = batch.columns, batch.touched
    base = len(columns.inputs)
    for row, lease in zip(work.rows, work.outputs, strict=True):
        slot = lease.physical
        if slot is not None:
            columns.outputs += (base + row, slot)
            touched.embs_produced.add(slot)
            touched.embs.add(slot)


def add_targets(batch: Batch, work: ForwardWork, count: int) -> None:
    columns, size, offset = batch.columns, batch.spec.page_size, work.offset
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
            batch.touched.pages_written.add(page)
            count -= room
            offset = 0


PLACERS: Mapping[type[Any], Placer] = MappingProxyType(
    {
        EmbedWork: place_embed,
        ForwardWork: place_forward,
        DistWork: place_dist,
    }
)
