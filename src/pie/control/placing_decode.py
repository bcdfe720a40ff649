"""Runs of decoding: of each, a step a pass."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pie.control.batch import Batch, Placer
from pie.control.leases import all_held
from pie.control.matchers import NO_MATCHER
from pie.control.placing_forward import rows_of_logits
from pie.control.placing_slots import add_sample
from pie.control.ticket import Entry
from pie.control.work import DecodeWork, DriverWork, EmbedSlotsWork, ForwardWork, SampleWork
from pie.sampling import step_seed


def place_decode(batch: Batch, entry: Entry, run: DecodeWork) -> bool:
    """Whether all of it has been sent, or needs not be."""
    last = 3 * run.steps - 2
    if run.placed % 3 == 1 and not run.over and place_step(batch, entry, run):
        run.placed += 3
    elif not place_parts(batch, entry, run, last):
        return False
    if run.placed < last and not run.over:
        return False
    batch.memory.free(entry.queue.space, "slots", (run.slot,), batch.now)
    return True


def place_parts(batch: Batch, entry: Entry, run: DecodeWork, last: int) -> bool:
    """One part after the other, up to a sample: the next pass has its token."""
    while not run.over and run.placed < last:
        part = PARTS[run.placed % 3](run, run.placed // 3, batch.spec.page_size)
        if part is None or not batch.place_part(entry, part):
            return False
        run.placed += 1
        if run.placed % 3 == 1:
            break
    return True


def place_step(batch: Batch, entry: Entry, run: DecodeWork) -> bool:
    """A whole step, embed to sample, where nothing stands in its way; else it goes part by part.

    The same as placing the three parts, for what nearly every step of nearly every run is.
    """
    emb, oemb, slot = run.emb.physical, run.oemb.physical, run.slot.physical
    step, touched = run.placed // 3, batch.touched
    page, offset = divmod(run.offset + step, batch.spec.page_size)
    places = [lease.physical for lease in run.pages[: page + 1]]
    distinct = set(places)
    if emb is None or oemb is None or slot is None or not all_held(places, distinct):
        return False
    target = places[-1]
    if (
        not (run.simple and _has_room(batch))
        or emb in touched.embs
        or oemb in touched.embs
        or slot in touched.slots_sampled
        or target in touched.pages_read
        or batch.memory.pages.refs[target] > 1
        or not touched.pages_written.isdisjoint(distinct)
    ):
        return False
    batch.join(entry)
    columns = batch.columns
    columns.slot_sources.append(slot)
    columns.slot_positions.append(run.position + step)
    columns.slot_embs.append(emb)
    columns.targets.append(target * batch.spec.page_size + offset)
    columns.outputs += (len(columns.inputs), oemb)
    columns.inputs.append(emb)
    columns.input_starts.append(len(columns.inputs))
    columns.read_pages += places
    columns.read_starts.append(len(columns.read_pages))
    touched.step(emb, oemb, target, places)
    entry.tokens += 1
    seed = step_seed(run.seed, run.position + step + 1)
    add_sample(batch, entry, run.how, seed, (), oemb, slot, run)
    columns.sample_matchers.append(NO_MATCHER)
    columns.seen_slot_starts.append(len(columns.seen_slots))
    return True


def _has_room(batch: Batch) -> bool:
    columns, settings = batch.columns, batch.settings
    return (
        settings.fuse
        and len(columns.inputs) < batch.most_inputs
        and rows_of_logits(columns) < settings.max_batch_dists
    )


def make_sample(run: DecodeWork, step: int, page_size: int) -> SampleWork | None:
    """None where penalties must count more than one token that is still unknown."""
    del page_size
    seed = step_seed(run.seed, run.position + step)
    seen_slots = run.seen_slots
    if run.how.penalises:
        if step > run.known + 1:
            return None
        if step > run.known:
            seen_slots = [*seen_slots, run.slot]
    seen = run.seen if run.how.penalises else ()
    return SampleWork(run.oemb, run.how, seed, seen, seen_slots, run.slot, run.matcher, 1, run)


def make_embed(run: DecodeWork, step: int, page_size: int) -> EmbedSlotsWork:
    del page_size
    return EmbedSlotsWork([run.slot], (run.position + step,), [run.emb], 1)


def make_forward(run: DecodeWork, step: int, page_size: int) -> ForwardWork:
    page, offset = divmod(run.offset + step, page_size)
    reads = run.pages[: page + 1]
    return ForwardWork(reads, [run.emb], reads[-1:], offset, [run.oemb], (0,), None, 1, run.adapter)


PARTS: tuple[Callable[[DecodeWork, int, int], DriverWork | None], ...] = (
    make_sample,
    make_embed,
    make_forward,
)
PLACERS: Mapping[type[Any], Placer] = MappingProxyType({DecodeWork: place_decode})
