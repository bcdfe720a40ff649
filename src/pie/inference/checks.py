"""Is a pass in bounds? Looked at before anything is touched, so that a bad one harms nothing."""

from collections.abc import Iterator, Sized

import numpy as np

from pie.core.driver import DriverSpec
from pie.core.passes import Pass
from pie.inference.batch import column, rows
from pie.inference.storage import Ints


def find_fault(work: Pass, spec: DriverSpec) -> str:
    """What is wrong with the pass, in words; empty when nothing is."""
    return next(faults(work, spec), "")


def faults(work: Pass, spec: DriverSpec) -> Iterator[str]:
    yield from shape_faults(work)
    yield from page_faults(work, spec)
    yield from input_faults(work, spec)
    yield from target_faults(work, spec)
    yield from dist_faults(work, spec)


def shape_faults(work: Pass) -> Iterator[str]:
    segments = len(work.input_starts) - 1
    yield from ragged("inputs", work.inputs, work.input_starts)
    yield from ragged("read_pages", work.read_pages, work.read_starts, segments)
    yield from ragged("mask_runs", work.mask_runs, work.mask_starts)
    yield from ragged("dist_tokens", work.dist_tokens, work.dist_token_starts, len(work.dist_slots))
    yield from same_length("embed_tokens", work.embed_tokens, work.embed_positions, work.embed_slots)
    yield from same_length("inputs", work.inputs, work.targets)
    yield from same_length("dist_slots", work.dist_slots, work.dist_top_k)
    yield from row_faults("copies", work.copies, 5)
    yield from row_faults("page_masks", work.page_masks, 2)
    yield from row_faults("outputs", work.outputs, 2)
    yield from mask_faults(work, segments)


def mask_faults(work: Pass, segments: int) -> Iterator[str]:
    masked = column(work.masked)
    yield from outside("masked", masked, 0, segments)
    if len(masked) and np.any(np.diff(masked) <= 0):
        yield "masked: segments are not in ascending order"
    wanted = int(np.diff(column(work.input_starts))[masked].sum())
    if len(work.mask_starts) - 1 != wanted:
        yield f"mask_starts: {len(work.mask_starts) - 1} rows for {wanted} masked inputs"
    yield from outside("mask_runs", column(work.mask_runs), 0, 1 << 31)


def page_faults(work: Pass, spec: DriverSpec) -> Iterator[str]:
    yield from outside("fresh_pages", column(work.fresh_pages), 0, spec.pages)
    yield from outside("page_masks", rows(work.page_masks, 2)[:, 0], 0, spec.pages)
    yield from outside("read_pages", column(work.read_pages), 0, spec.pages)
    copies = rows(work.copies, 5)
    yield from outside("copies", copies[:, (0, 2)].ravel(), 0, spec.pages)
    yield from outside("copies: offsets", copies[:, (1, 3, 4)].ravel(), 0, spec.page_size + 1)
    if np.any(copies[:, (1, 3)] + copies[:, 4:] > spec.page_size):
        yield "copies: a span leaves its page"


def input_faults(work: Pass, spec: DriverSpec) -> Iterator[str]:
    yield from outside("embed_tokens", column(work.embed_tokens), 0, spec.vocabulary_size)
    yield from outside("embed_positions", column(work.embed_positions), 0, 1 << 31)
    yield from outside("embed_slots", column(work.embed_slots), 0, spec.embs)
    yield from outside("inputs", column(work.inputs), 0, spec.embs)
    if len(work.inputs) > spec.embs:
        yield f"inputs: {len(work.inputs)} are more than the {spec.embs} embedding slots"
    outputs = rows(work.outputs, 2)
    yield from outside("outputs: inputs", outputs[:, 0], 0, len(work.inputs))
    yield from outside("outputs: slots", outputs[:, 1], 0, spec.embs)


def target_faults(work: Pass, spec: DriverSpec) -> Iterator[str]:
    targets = column(work.targets)
    yield from outside("targets", targets, -1, spec.pages * spec.page_size)
    stored = targets[targets >= 0]
    if len(np.unique(stored)) != len(stored):
        yield "targets: two inputs go to the same place"


def dist_faults(work: Pass, spec: DriverSpec) -> Iterator[str]:
    yield from outside("dist_slots", column(work.dist_slots), 0, spec.embs)
    yield from outside("dist_top_k", column(work.dist_top_k), 0, spec.vocabulary_size + 1)
    yield from outside("dist_tokens", column(work.dist_tokens), 0, spec.vocabulary_size)


def outside(name: str, values: Ints, low: int, high: int) -> Iterator[str]:
    """The first of `values` that is not within `low` (inclusive) and `high` (exclusive)."""
    if len(values) and (values.min() < low or values.max() >= high):
        bad = values[(values < low) | (values >= high)][0]
        yield f"{name}: {bad} is not between {low} and {high - 1}"


def ragged(name: str, values: object, starts: object, count: int | None = None) -> Iterator[str]:
    edges, size = column(starts), len(column(values))
    if not len(edges) or edges[0] != 0 or edges[-1] != size or np.any(np.diff(edges) < 0):
        yield f"{name}: its rows do not cover its {size} values"
    elif count is not None and len(edges) - 1 != count:
        yield f"{name}: {len(edges) - 1} rows instead of {count}"


def row_faults(name: str, values: Sized, width: int) -> Iterator[str]:
    if len(values) % width:
        yield f"{name}: {len(values)} numbers are not rows of {width}"


def same_length(name: str, *columns: object) -> Iterator[str]:
    lengths = {len(column(values)) for values in columns}
    if len(lengths) > 1:
        yield f"{name}: columns of different lengths ({', '.join(map(str, sorted(lengths)))})"
