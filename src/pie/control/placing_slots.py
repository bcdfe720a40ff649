"""Samples into token slots, and embeds from them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pie.control.batch import Batch, Placer
from pie.control.leases import SlotLease, all_held
from pie.control.matchers import may_take, take
from pie.control.placing_forward import find_state, find_targets
from pie.control.sampled import Sampled
from pie.control.ticket import Entry, SampleTicket
from pie.control.work import DecodeWork, EmbedSlotsWork, How, SampleWork
from pie.core.ids import PhysicalEmb, PhysicalSlot


def place_embed_slots(batch: Batch, entry: Entry, work: EmbedSlotsWork) -> bool:
    sources = find_sources(batch, work.slots)
    if sources is None:
        return False
    places = find_targets(batch, entry.queue.space, work.embs)
    if places is None:
        return False
    columns = batch.columns
    columns.slot_sources += sources
    columns.slot_positions += work.positions
    columns.slot_embs += places
    batch.touched.embed(places)
    return True


def find_sources(batch: Batch, slots: list[SlotLease]) -> list[PhysicalSlot] | None:
    """Slots whose tokens were sampled before this pass; None where that is done by it."""
    places = [lease.physical for lease in slots]
    distinct = set(places)
    if not all_held(places, distinct):
        raise next(lease for lease in slots if lease.physical is None).unreadable()
    return places if batch.touched.slots_sampled.isdisjoint(distinct) else None


def place_sample(batch: Batch, entry: Entry, work: SampleWork) -> bool:
    state = find_state(batch, work.emb)
    seen = find_sources(batch, work.seen_slots)
    matcher = may_take(batch, work.matcher)
    if state is None or seen is None or matcher is None or not _may_take(batch, entry, work.slot):
        return False
    slot = work.slot.physical
    if slot is not None:
        take(batch, entry, work.matcher)
        add_sample(batch, entry, work.how, work.seed, work.seen, state, slot, work.run)
        columns = batch.columns
        columns.sample_matchers.append(matcher)
        columns.seen_slots += seen
        columns.seen_slot_starts.append(len(columns.seen_slots))
        batch.touched.score(state)
    return True


def _may_take(batch: Batch, entry: Entry, slot: SlotLease) -> bool:
    """Whether the sample's slot is there, and no other sample of the pass goes to it."""
    place = slot.physical
    if place is None:
        return batch.give(batch.memory.slots, entry.queue.space.slots, (slot,))
    return place not in batch.touched.slots_sampled


def add_sample(
    batch: Batch,
    entry: Entry,
    how: How,
    seed: int,
    seen: Sequence[int],
    state: PhysicalEmb,
    slot: PhysicalSlot,
    run: DecodeWork | None,
) -> None:
    """All of a sample but its matcher and the slots that its penalties count."""
    columns = batch.columns
    columns.sample_embs.append(state)
    columns.sample_slots.append(slot)
    columns.sample_top_k.append(how.top_k)
    columns.sample_numbers += how.numbers
    columns.sample_seeds.append(seed)
    columns.seen_tokens += seen
    columns.seen_token_starts.append(len(columns.seen_tokens))
    batch.touched.slots_sampled.add(slot)
    sampled = batch.memory.sampled[slot] = Sampled(batch.number)
    batch.samples.append(SampleTicket(entry.queue, sampled, run))
    entry.dists += 1


PLACERS: Mapping[type[Any], Placer] = MappingProxyType(
    {
        EmbedSlotsWork: place_embed_slots,
        SampleWork: place_sample,
    }
)
