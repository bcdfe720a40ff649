"""Is a pass in bounds? Looked at before anything is touched, so that a bad one harms nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.core.driver import DriverSpec
from pie.inference.columns import Bools, Columns, Ints

HIGHEST = 1 << 31


Written = Callable[[Ints], Bools]


@dataclass(frozen=True, slots=True)
class Contents:
    """Which embedding slots and token slots hold something before the pass; asked about valid ones only."""

    embs: Written
    slots: Written


def find_fault(work: Columns, spec: DriverSpec, contents: Contents) -> str:
    """What is wrong with the pass, in words; empty when nothing is."""
    return next(faults(work, spec, contents), "")


def faults(work: Columns, spec: DriverSpec, contents: Contents) -> Iterator[str]:
    yield from shape_faults(work)
    yield from swap_faults(work, spec)
    yield from page_faults(work, spec)
    yield from input_faults(work, spec)
    yield from mask_faults(work)
    yield from adapter_faults(work, spec)
    yield from watch_faults(work)
    yield from target_faults(work, spec)
    yield from dist_faults(work, spec)
    yield from slot_faults(work, spec, contents.slots)
    embedded = work.embed_slots, work.slot_embs
    yield from unwritten("inputs", work.inputs, contents.embs, *embedded)
    for name in ("dist_slots", "score_slots", "sample_embs"):
        yield from unwritten(name, getattr(work, name), contents.embs, *embedded, work.outputs[:, 1])


def shape_faults(work: Columns) -> Iterator[str]:
    yield from ragged("inputs", work.inputs, work.input_starts)
    yield from ragged("read_pages", work.read_pages, work.read_starts, work.segments)
    yield from ragged("mask_runs", work.mask_runs, work.mask_starts)
    yield from ragged("dist_tokens", work.dist_tokens, work.dist_token_starts, len(work.dist_slots))
    yield from same_length("embed_tokens", work.embed_tokens, work.embed_positions, work.embed_slots)
    yield from same_length("inputs", work.inputs, work.targets)
    yield from same_length("dist_slots", work.dist_slots, work.dist_top_k)
    yield from same_length("slot_sources", work.slot_sources, work.slot_positions, work.slot_embs)
    yield from same_length("score_slots", work.score_slots, work.score_targets)
    yield from same_length(
        "sample_embs",
        work.sample_embs,
        work.sample_slots,
        work.sample_matchers,
        work.sample_top_k,
        work.sample_numbers,
        work.sample_seeds,
    )
    yield from ragged("seen_tokens", work.seen_tokens, work.seen_token_starts, len(work.sample_embs))
    yield from ragged("seen_slots", work.seen_slots, work.seen_slot_starts, len(work.sample_embs))


def swap_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    for name, pages, places in (
        ("swap_outs", work.swap_outs[:, 0], work.swap_outs[:, 1]),
        ("swap_ins", work.swap_ins[:, 1], work.swap_ins[:, 0]),
    ):
        yield from outside(f"{name}: pages", pages, spec.pages)
        yield from outside(f"{name}: places", places, spec.host_pages)


def page_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    yield from outside("fresh_pages", work.fresh_pages, spec.pages)
    yield from outside("page_masks", work.page_masks[:, 0], spec.pages)
    yield from outside("read_pages", work.read_pages, spec.pages)
    copies = work.copies
    if not len(copies):
        return
    yield from outside("copies", copies[:, (0, 2)].ravel(), spec.pages)
    yield from outside("copies: offsets", copies[:, (1, 3, 4)].ravel(), spec.page_size + 1)
    if np.any(copies[:, (1, 3)] + copies[:, 4:] > spec.page_size):
        yield "copies: a span leaves its page"


def input_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    yield from outside("embed_tokens", work.embed_tokens, spec.vocabulary_size)
    yield from outside("embed_positions", work.embed_positions, HIGHEST)
    yield from outside("embed_slots", work.embed_slots, spec.embs)
    yield from outside("inputs", work.inputs, spec.embs)
    if len(work.inputs) > spec.embs:
        yield f"inputs: {len(work.inputs)} are more than the {spec.embs} embedding slots"
    yield from outside("outputs: inputs", work.outputs[:, 0], len(work.inputs))
    yield from outside("outputs: slots", work.outputs[:, 1], spec.embs)


def mask_faults(work: Columns) -> Iterator[str]:
    if not len(work.masked) and len(work.mask_starts) == 1:
        return
    yield from outside("masked", work.masked, work.segments)
    if np.any(np.diff(work.masked) <= 0):
        yield "masked: segments are not in ascending order"
    wanted = int(np.diff(work.input_starts)[work.masked].sum())
    if len(work.mask_starts) - 1 != wanted:
        yield f"mask_starts: {len(work.mask_starts) - 1} rows for {wanted} masked inputs"
    yield from outside("mask_runs", work.mask_runs, HIGHEST)


def adapter_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    segments, adapters = work.adapted[:, 0], work.adapted[:, 1]
    yield from outside("adapted: segments", segments, work.segments)
    yield from outside("adapted: adapters", adapters, len(spec.adapters))
    if np.any(np.diff(segments) <= 0):
        yield "adapted: segments are not in ascending order"


def watch_faults(work: Columns) -> Iterator[str]:
    yield from outside("watched", work.watched, work.segments)
    if np.any(np.diff(work.watched) <= 0):
        yield "watched: segments are not in ascending order"
    for segment in work.watched[work.watched < work.segments]:
        if segment in work.masked:
            yield f"watched: segment {segment} brings a mask"
        if np.any(work.targets[slice(*work.input_starts[segment : segment + 2])] >= 0):
            yield f"watched: segment {segment} stores tokens"


def target_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    yield from outside("targets", work.targets, spec.pages * spec.page_size, low=-1)
    if has_twice(work.targets[work.targets >= 0]):
        yield "targets: two inputs go to the same place"


def has_twice(values: Ints) -> bool:
    """By sorting: a tenth of the time of `np.unique` for the few values of most passes."""
    if len(values) < 2:
        return False
    ordered = np.sort(values)
    return bool(np.any(ordered[1:] == ordered[:-1]))


def dist_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    yield from outside("dist_slots", work.dist_slots, spec.embs)
    yield from outside("dist_top_k", work.dist_top_k, spec.vocabulary_size + 1)
    yield from outside("dist_tokens", work.dist_tokens, spec.vocabulary_size)
    yield from outside("score_slots", work.score_slots, spec.embs)
    yield from outside("score_targets", work.score_targets, spec.vocabulary_size)
    yield from outside("sample_embs", work.sample_embs, spec.embs)
    yield from outside("seen_tokens", work.seen_tokens, spec.vocabulary_size)


def slot_faults(work: Columns, spec: DriverSpec, written: Written) -> Iterator[str]:
    """Of token slots, and what goes from them into embeddings."""
    yield from outside("slot_positions", work.slot_positions, HIGHEST)
    yield from outside("slot_embs", work.slot_embs, spec.embs)
    yield from outside("sample_slots", work.sample_slots, spec.slots)
    yield from outside("sample_matchers", work.sample_matchers, spec.matchers, low=-1)
    if has_twice(work.sample_slots):
        yield "sample_slots: two samples go to the same slot"
    used = work.sample_matchers[work.sample_matchers >= 0]
    if has_twice(used):
        yield "sample_matchers: two samples move one matcher"
    for name, slots in (("slot_sources", work.slot_sources), ("seen_slots", work.seen_slots)):
        yield from outside(name, slots, spec.slots)
        if not written(slots).all():
            yield f"{name}: nothing was ever sampled into token slot {slots[~written(slots)][0]}"


def unwritten(
    name: str, slots: Ints, written: Written, *filled_now: Ints
) -> Iterator[str]:
    """Embedding slots that hold nothing, not even after the parts of the pass that come before."""
    empty = slots[~written(slots)]
    if len(empty):
        empty = empty[~np.isin(empty, np.concatenate(filled_now))]
    if len(empty):
        yield f"{name}: nothing was ever written to embedding slot {empty[0]}"


def outside(name: str, values: Ints, high: int, low: int = 0) -> Iterator[str]:
    """The first of `values` that is not within `low` (inclusive) and `high` (exclusive)."""
    if len(values) and (values.min() < low or values.max() >= high):
        bad = values[(values < low) | (values >= high)][0]
        yield f"{name}: {bad} is not between {low} and {high - 1}"


def ragged(name: str, values: Ints, starts: Ints, count: int | None = None) -> Iterator[str]:
    if not len(starts) or starts[0] != 0 or starts[-1] != len(values) or np.any(starts[1:] < starts[:-1]):
        yield f"{name}: its rows do not cover its {len(values)} values"
    elif count is not None and len(starts) - 1 != count:
        yield f"{name}: {len(starts) - 1} rows instead of {count}"


def same_length(name: str, first: NDArray[Any], *others: NDArray[Any]) -> Iterator[str]:
    lengths = [len(first), *map(len, others)]
    if min(lengths) != max(lengths):
        yield f"{name}: columns of different lengths ({', '.join(map(str, lengths))})"
