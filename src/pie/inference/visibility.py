"""What each input of a pass sees: decided once per pass, in numpy, for all layers.

An input sees (1) the tokens of its segment's read pages that were written before the pass, are not hidden by
a page mask, and (2) the inputs of its own segment: both by position (earlier or equal), or by the segment's
explicit mask. A slot that the segment itself writes to counts as the new input only, never twice.

Segments of one input (decoding) become `Rows`: each sees just a list of slots. Longer ones (prefill) become
`Block`s: a list of slots and a mask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pie.inference.columns import Bools, Columns, Ints
from pie.inference.storage import PageStorage

Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Inputs handled one by one: `inputs[i]` sees `slots[starts[i] : starts[i + 1]]`."""

    inputs: Ints
    slots: Ints
    starts: Offsets


@dataclass(frozen=True, slots=True)
class Block:
    """Inputs `first` to `last` (exclusive) see `slots` where `mask` ([inputs, slots]) is true."""

    first: int
    last: int
    slots: Ints
    mask: Bools


@dataclass(frozen=True, slots=True)
class View:
    places: Ints
    """Slot where each input's keys and values are stored while the pass runs: its target, if that holds
    nothing yet; else a scratch slot, so that a pass that fails has spoilt nothing."""
    positions: Ints
    rows: Rows
    blocks: list[Block]
    windowed: "View | None" = None
    """What layers with a sliding window see, where that is less."""


Look = Callable[[Columns, Ints, PageStorage], View]


def look(batch: Columns, positions: Ints, pages: PageStorage) -> View:
    """`positions` are those of the batch's inputs."""
    places = choose_places(batch.targets, pages)
    slots, seen, owners = read_slots(batch, pages)
    lengths = np.diff(batch.input_starts)
    if not len(batch.masked) and bool((lengths == 1).all()):
        return View(places, positions, decoding_rows(pages, positions, places, slots, seen, owners), [])
    sight = Sight(batch, pages, positions, places, slots, seen, owners)
    masks = MaskRows(batch, pages.page_size)
    return View(places, positions, sight.rows(lengths == 1, masks), sight.blocks(lengths, masks))


def decoding_rows(
    pages: PageStorage, positions: Ints, places: Ints, slots: Ints, seen: Bools, owners: Ints
) -> Rows:
    """Where every segment is one input without a mask, as in most passes."""
    visible = seen & (pages.positions[slots] <= positions[owners][:, None])
    every = np.arange(len(positions), dtype=np.int32)
    return join_rows(every, slots, visible, owners, every, places, np.ones(len(positions), np.bool_))


def choose_places(targets: Ints, pages: PageStorage) -> Ints:
    scratch = pages.scratch_slot + np.arange(len(targets), dtype=np.int32)
    stored = targets >= 0
    stored[stored] = pages.positions[targets[stored]] < 0
    return np.where(stored, targets, scratch)


def read_slots(batch: Columns, pages: PageStorage) -> tuple[Ints, Bools, Ints]:
    """[read pages, page_size] slots, whether a token can be seen there; and each page's segment."""
    slots = pages.slots(batch.read_pages)
    owners = np.repeat(np.arange(batch.segments, dtype=np.int32), np.diff(batch.read_starts))
    seen = (pages.positions[slots] >= 0) & pages.visible[slots]
    hide_overwritten(batch, pages, slots, seen, owners)
    return slots, seen, owners


def hide_overwritten(batch: Columns, pages: PageStorage, slots: Ints, seen: Bools, owners: Ints) -> None:
    """A token that a segment writes over is not seen by that segment; others still see the old one."""
    stored = np.flatnonzero(batch.targets >= 0)
    again = stored[pages.positions[batch.targets[stored]] >= 0]
    if not len(again):
        return
    segments = np.searchsorted(batch.input_starts, again, side="right") - 1
    writer = np.full(len(pages.positions), -1, np.int32)
    writer[batch.targets[again]] = segments
    seen &= writer[slots] != owners[:, None]


class MaskRows:
    """The explicit masks of a batch, as booleans."""

    def __init__(self, batch: Columns, page_size: int) -> None:
        self._batch = batch
        self._page_size = page_size
        lengths = np.diff(batch.input_starts)[batch.masked]
        firsts = np.concatenate(([0], np.cumsum(lengths)[:-1])) if len(lengths) else lengths
        self._first_row = dict(zip(batch.masked.tolist(), firsts.tolist(), strict=True))

    def of(self, segment: int) -> Bools | None:
        """[inputs, read slots + inputs], or None where position decides. What a row leaves out is hidden."""
        first = self._first_row.get(segment)
        if first is None:
            return None
        batch = self._batch
        inputs = int(batch.input_starts[segment + 1] - batch.input_starts[segment])
        read = int(batch.read_starts[segment + 1] - batch.read_starts[segment]) * self._page_size
        mask = np.zeros((inputs, read + inputs), np.bool_)
        edges = batch.mask_starts[first : first + inputs + 1].tolist()
        for row, (start, stop) in enumerate(pairwise(edges)):
            fill_runs(mask[row], batch.mask_runs[start:stop])
        return mask


def fill_runs(row: Bools, runs: Ints) -> None:
    """Alternately hidden and visible, beginning with hidden; what is too long is cut."""
    edges = np.cumsum(runs, dtype=np.int64)
    for start, stop in zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=False):
        row[start:stop] = True


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything needed to say what the inputs of one batch see."""

    batch: Columns
    pages: PageStorage
    positions: Ints
    places: Ints
    slots: Ints
    seen: Bools
    owners: Ints

    def rows(self, single: Bools, masks: MaskRows) -> Rows:
        """The segments of one input, all at once."""
        segments = np.flatnonzero(single)
        inputs = self.batch.input_starts[segments]
        chosen = np.flatnonzero(single[self.owners])
        owners, slots = self.owners[chosen], self.slots[chosen]
        limits = np.zeros(len(single), np.int32)
        limits[segments] = self.positions[inputs]
        visible = self.seen[chosen] & (self.pages.positions[slots] <= limits[owners][:, None])
        itself = np.ones(len(single), np.bool_)
        for segment in self.batch.masked.tolist():
            if single[segment]:
                self._apply_mask(segment, masks, visible, owners, chosen, itself)
        return join_rows(inputs, slots, visible, owners, segments, self.places[inputs], itself)

    def _apply_mask(
        self, segment: int, masks: MaskRows, visible: Bools, owners: Ints, chosen: Offsets, itself: Bools
    ) -> None:
        mask = masks.of(segment)
        if mask is None:
            return
        mine = owners == segment
        visible[mine] = self.seen[chosen[mine]] & mask[0, :-1].reshape(-1, self.pages.page_size)
        itself[segment] = mask[0, -1]

    def blocks(self, lengths: Ints, masks: MaskRows) -> list[Block]:
        return [self._block(int(segment), masks.of(int(segment))) for segment in np.flatnonzero(lengths > 1)]

    def _block(self, segment: int, mask: Bools | None) -> Block:
        first, last = (int(start) for start in self.batch.input_starts[segment : segment + 2])
        from_page, to_page = self.batch.read_starts[segment : segment + 2]
        slots, seen = self.slots[from_page:to_page].ravel(), self.seen[from_page:to_page].ravel()
        own = self.positions[first:last]
        if mask is None:
            seen = seen & (self.pages.positions[slots] <= own.max())
        slots = slots[seen]
        all_slots = np.concatenate((slots, self.places[first:last]))
        if mask is None:
            there = np.concatenate((self.pages.positions[slots], own))
            return Block(first, last, all_slots, there[None, :] <= own[:, None])
        columns = np.concatenate((np.flatnonzero(seen), len(seen) + np.arange(last - first)))
        return Block(first, last, all_slots, mask[:, columns])


def join_rows(
    inputs: Ints,
    slots: Ints,
    visible: Bools,
    owners: Ints,
    segments: Offsets | Ints,
    own: Ints,
    itself: Bools,
) -> Rows:
    """Each row: the visible read slots of its segment, then the place of the input itself."""
    counts = np.bincount(owners, visible.sum(1), minlength=len(itself)).astype(np.int64)[segments]
    alone = itself[segments]
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts + alone)))
    joined = np.empty(starts[-1], np.int32)
    last = starts[1:][alone] - 1
    others = np.ones(len(joined), np.bool_)
    others[last] = False
    joined[last] = own[alone]
    joined[others] = slots[visible]
    return Rows(inputs, joined, starts)
