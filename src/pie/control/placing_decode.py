"""Runs of decoding: of each, a step a pass."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pie.control.batch import Batch, Placer
from pie.control.ticket import Entry
from pie.control.work import DecodeWork, DriverWork, EmbedSlotsWork, ForwardWork, SampleWork
from pie.sampling import step_seed


def place_decode(batch: Batch, entry: Entry, run: DecodeWork) -> bool:
    """Whether all of it has been sent, or needs not be."""
    last = 3 * run.steps - 2
    while not run.over and run.placed < last:
        part = PARTS[run.placed % 3](run, run.placed // 3, batch.spec.page_size)
        if part is None or not batch.place_part(entry, part):
            return False
        run.placed += 1
    batch.memory.free(entry.queue.space, "slots", (run.slot,), batch.now)
    return True


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
    make_sample, make_embed, make_forward,
)
PLACERS: Mapping[type[Any], Placer] = MappingProxyType({DecodeWork: place_decode})
