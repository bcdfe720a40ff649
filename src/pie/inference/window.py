"""Sliding windows: what layers that have one leave out of what a pass's inputs see.

A window counts positions: with a window of w, an input at position p sees only tokens at p - w + 1 or later.
It comes on top of everything else. A token must pass the causal rule or the explicit mask first, and an
explicit mask cannot show a windowed layer what lies before its window. (Those layers were never trained to
look further; a program's mask is made once, for layers with and without a window.)
"""

from dataclasses import replace

import numpy as np

from pie.inference.columns import Bools, Ints
from pie.inference.storage import PageStorage
from pie.inference.visibility import Block, Rows, View


def with_window(view: View, pages: PageStorage, window: int) -> View:
    """`view` and what windowed layers see in it; `window` 0: there are none."""
    if not window or not len(view.places) or int(view.positions.max()) < window:
        return view
    positions = slot_positions(view, pages)
    rows = narrow_rows(view.rows, positions, view.positions, window)
    blocks = [narrow_block(block, positions, view.positions, window) for block in view.blocks]
    return replace(view, windowed=replace(view, rows=rows, blocks=blocks))


def slot_positions(view: View, pages: PageStorage) -> Ints:
    """Of every slot, those of the pass's own inputs included."""
    last = max(len(pages.positions), 1 + int(view.places.max()), pages.scratch_slot)
    positions: Ints = np.zeros(last, np.int32)
    positions[: len(pages.positions)] = pages.positions
    positions[view.places] = view.positions
    return positions


def narrow_rows(rows: Rows, slots_at: Ints, inputs_at: Ints, window: int) -> Rows:
    lengths = np.diff(rows.starts)
    limits = np.repeat(inputs_at[rows.inputs] - window, lengths)
    kept = slots_at[rows.slots] > limits
    counted = np.concatenate((np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)))
    return Rows(rows.inputs, rows.slots[kept], counted[rows.starts])


def narrow_block(block: Block, slots_at: Ints, inputs_at: Ints, window: int) -> Block:
    limits = inputs_at[block.first : block.last] - window
    mask = block.mask & (slots_at[block.slots][None, :] > limits[:, None])
    seen: Bools = np.any(mask, axis=0)
    seen[:1] = True  # never none at all: attention over nothing has no shape
    return Block(block.first, block.last, block.slots[seen], np.ascontiguousarray(mask[:, seen]))
