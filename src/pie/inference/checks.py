"""Is a pass in bounds? Looked at before anything is touched, so that a bad one harms nothing.

Most columns of most passes are empty: those cost next to nothing here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.core.driver import DriverSpec
from pie.inference.columns import Bools, Columns, Ints

HIGHEST = 1 << 31
FEW = 64
"""Values whose bounds Python finds sooner than numpy does."""

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
    yield from bound_faults(work, spec)
    yield from copy_faults(work, spec)
    if len(work.inputs) > spec.embs:
        yield f"inputs: {len(work.inputs)} are more than the {spec.embs} embedding slots"
    yield from mask_faults(work)
    yield from order_faults(work)
    yield from watch_faults(work)
    yield from target_faults(work, spec)
    yield from slot_faults(work, spec, contents.slots)
    embedded = work.embed_slots, work.slot_embs
    yield from unwritten("inputs", work.inputs, contents.embs, *embedded)
    for name in ("dist_slots", "score_slots", "sample_embs"):
        slots = getattr(work, name)
        if len(slots):
            yield from unwritten(name, slots, contents.embs, *embedded, work.outputs[:, 1])


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


BOUNDS = (
    ("swap_outs", 0, "pages"),
    ("swap_outs", 1, "places"),
    ("swap_ins", 1, "pages"),
    ("swap_ins", 0, "places"),
    ("fresh_pages", None, "pages"),
    ("page_masks", 0, "pages"),
    ("read_pages", None, "pages"),
    ("embed_tokens", None, "tokens"),
    ("embed_positions", None, "positions"),
    ("embed_slots", None, "embs"),
    ("inputs", None, "embs"),
    ("outputs", 0, "inputs"),
    ("outputs", 1, "embs"),
    ("masked", None, "segments"),
    ("mask_runs", None, "positions"),
    ("adapted", 0, "segments"),
    ("adapted", 1, "adapters"),
    ("watched", None, "segments"),
    ("dist_slots", None, "embs"),
    ("dist_top_k", None, "best tokens"),
    ("dist_tokens", None, "tokens"),
    ("score_slots", None, "embs"),
    ("score_targets", None, "tokens"),
    ("sample_embs", None, "embs"),
    ("sample_slots", None, "slots"),
    ("seen_tokens", None, "tokens"),
    ("seen_slots", None, "slots"),
    ("slot_positions", None, "positions"),
    ("slot_embs", None, "embs"),
    ("slot_sources", None, "slots"),
)
"""Columns whose values (of rows: in which place) are from 0 to below a number of what."""


def bound_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    """What can be said of single values."""
    most = {
        "pages": spec.pages,
        "places": spec.host_pages + spec.disk_pages,
        "slots": spec.slots,
        "embs": spec.embs,
        "tokens": spec.vocabulary_size,
        "best tokens": spec.vocabulary_size + 1,
        "positions": HIGHEST,
        "inputs": len(work.inputs),
        "segments": work.segments,
        "adapters": len(spec.adapters),
    }
    for column, place, what in BOUNDS:
        values = getattr(work, column)
        if not len(values):
            continue
        if place is not None:
            values = values[:, place]
        if leaves(values, 0, most[what]):
            yield outside(column if place is None else f"{column}: {what}", values, 0, most[what])


def copy_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    copies = work.copies
    if not len(copies):
        return
    yield from without("copies", copies[:, (0, 2)].ravel(), 0, spec.pages)
    yield from without("copies: offsets", copies[:, (1, 3, 4)].ravel(), 0, spec.page_size + 1)
    if np.any(copies[:, (1, 3)] + copies[:, 4:] > spec.page_size):
        yield "copies: a span leaves its page"


def mask_faults(work: Columns) -> Iterator[str]:
    if not len(work.masked) and len(work.mask_starts) == 1:
        return
    wanted = int(np.diff(work.input_starts)[work.masked].sum())
    if len(work.mask_starts) - 1 != wanted:
        yield f"mask_starts: {len(work.mask_starts) - 1} rows for {wanted} masked inputs"


def order_faults(work: Columns) -> Iterator[str]:
    """Of segments that are named: each once, in ascending order."""
    for name, segments in (
        ("masked", work.masked), ("adapted", work.adapted[:, 0]), ("watched", work.watched),
    ):  # fmt: skip
        if len(segments) > 1 and np.any(np.diff(segments) <= 0):
            yield f"{name}: segments are not in ascending order"


def watch_faults(work: Columns) -> Iterator[str]:
    for segment in work.watched:
        if segment in work.masked:
            yield f"watched: segment {segment} brings a mask"
        if np.any(work.targets[slice(*work.input_starts[segment : segment + 2])] >= 0):
            yield f"watched: segment {segment} stores tokens"


def target_faults(work: Columns, spec: DriverSpec) -> Iterator[str]:
    yield from without("targets", work.targets, -1, spec.pages * spec.page_size)
    if has_twice(work.targets[work.targets >= 0]):
        yield "targets: two inputs go to the same place"


def has_twice(values: Ints) -> bool:
    """By sorting: a tenth of the time of `np.unique` for the few values of most passes."""
    if len(values) < FEW:
        return len(set(values.tolist())) < len(values)
    ordered = np.sort(values)
    return bool(np.any(ordered[1:] == ordered[:-1]))


def slot_faults(work: Columns, spec: DriverSpec, written: Written) -> Iterator[str]:
    """Of token slots, and what goes from them into embeddings."""
    yield from without("sample_matchers", work.sample_matchers, -1, spec.matchers)
    if has_twice(work.sample_slots):
        yield "sample_slots: two samples go to the same slot"
    if has_twice(work.sample_matchers[work.sample_matchers >= 0]):
        yield "sample_matchers: two samples move one matcher"
    for name, slots in (("slot_sources", work.slot_sources), ("seen_slots", work.seen_slots)):
        if len(slots) and not written(slots).all():
            yield f"{name}: nothing was ever sampled into token slot {slots[~written(slots)][0]}"


def unwritten(name: str, slots: Ints, written: Written, *filled_now: Ints) -> Iterator[str]:
    """Embedding slots that hold nothing, not even after the parts of the pass that come before."""
    if not len(slots):
        return
    empty = slots[~written(slots)]
    if len(empty):
        empty = empty[~np.isin(empty, np.concatenate(filled_now))]
    if len(empty):
        yield f"{name}: nothing was ever written to embedding slot {empty[0]}"


def without(name: str, values: Ints, low: int, high: int) -> Iterator[str]:
    if leaves(values, low, high):
        yield outside(name, values, low, high)


def leaves(values: Ints, low: int, high: int) -> bool:
    """Whether one of them is not within `low` (inclusive) and `high` (exclusive)."""
    if len(values) > FEW:
        return not low <= values.min() <= values.max() < high
    few = values.tolist()
    return bool(few) and not low <= min(few) <= max(few) < high


def outside(name: str, values: Ints, low: int, high: int) -> str:
    """The first of `values` that leaves the bounds, in words."""
    bad = values[(values < low) | (values >= high)][0]
    return f"{name}: {bad} is not between {low} and {high - 1}"


def ragged(name: str, values: Ints, starts: Ints, count: int | None = None) -> Iterator[str]:
    if not covers(starts, len(values)):
        yield f"{name}: its rows do not cover its {len(values)} values"
    elif count is not None and len(starts) - 1 != count:
        yield f"{name}: {len(starts) - 1} rows instead of {count}"


def covers(starts: Ints, size: int) -> bool:
    """Whether rows that begin there cover so many values. Some may be empty."""
    if len(starts) > FEW:
        return starts[0] == 0 and starts[-1] == size and not (starts[1:] < starts[:-1]).any()
    few = starts.tolist()
    return bool(few) and few[0] == 0 and few[-1] == size and few == sorted(few)


def same_length(name: str, first: NDArray[Any], *others: NDArray[Any]) -> Iterator[str]:
    lengths = [len(first), *map(len, others)]
    if min(lengths) != max(lengths):
        yield f"{name}: columns of different lengths ({', '.join(map(str, lengths))})"
