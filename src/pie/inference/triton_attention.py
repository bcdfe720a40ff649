"""Attention on a GPU: what a pass's inputs see, cut into tiles for the Triton kernel.

The kernel reads pages where they lie, in the same numbers as `TorchAttention`, and is compared with it. On a
machine without a GPU it runs in Triton's interpreter only (`TRITON_INTERPRET=1`), for tests.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pie.inference.attention import Attention
from pie.inference.columns import Ints
from pie.inference.storage import PageStorage
from pie.inference.triton_kernel import ENTRIES, Shape, attend_tiles
from pie.inference.visibility import Block, Rows, View

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tiles:
    """What one launch of the kernel works on; see `triton_kernel.py`."""

    table: torch.Tensor
    rows: torch.Tensor
    bits: torch.Tensor
    masked: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One pass: storage rows for the inputs' own keys and values, and what is seen."""

    places: torch.Tensor
    seen: list[Tiles]
    windowed: list[Tiles]
    """What layers with a sliding window see."""


class TritonAttention(Attention):
    """For pages in fp32. `exact`: products in fp32 too, not in tf32."""

    def __init__(self, pages: PageStorage, heads: int, exact: bool = True) -> None:
        self._pages = pages
        self._heads = heads
        self._shape = Shape(heads // pages.kv_heads, pages.head_dim)
        self._precision = "ieee" if exact else "tf32"
        self._plan: Plan | None = None
        self.view: View | None = None

    def begin(self, view: View) -> None:
        self.view, self._plan = view, None

    def hold(self, plan: Plan) -> None:
        """Works by `plan`, whatever it says at the time, until the next `begin`."""
        self._plan = plan

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._pages.write(layer, self._current().places, keys, values)

    def attend(self, layer: int, queries: torch.Tensor, windowed: bool = False) -> torch.Tensor:
        out = queries.new_empty(len(queries), self._heads * self._pages.head_dim)
        plan = self._current()
        for tiles in plan.windowed if windowed else plan.seen:
            self._launch(tiles, layer, queries, out)
        return out

    def _current(self) -> Plan:
        """Made when it is first asked for: a graph has one of its own."""
        if self._plan is None:
            if self.view is None:
                raise RuntimeError("attend before begin")
            self._plan = plan_of(self.view, self._pages, self._shape)
        return self._plan

    def _launch(self, tiles: Tiles, layer: int, queries: torch.Tensor, out: torch.Tensor) -> None:
        pages, shape = self._pages, self._shape
        attend_tiles[len(tiles.table), pages.kv_heads](
            out, queries, pages.keys(layer), pages.values(layer), tiles.table, tiles.rows, tiles.bits,
            queries.stride(0), shape.head_dim**-0.5,
            KV_HEADS=pages.kv_heads, GROUP=shape.group, HEAD_DIM=shape.head_dim, DIM=shape.dim,
            LINES=shape.block_lines if tiles.masked else shape.row_lines, SLOTS=shape.slots,
            MASKED=tiles.masked, PRECISION=self._precision, num_warps=4, num_stages=2,
        )  # fmt: skip


def plan_of(view: View, pages: PageStorage, shape: Shape) -> Plan:
    seen = list(tiles_of(view, pages, shape))
    windowed = seen if view.windowed is None else list(tiles_of(view.windowed, pages, shape))
    return Plan(pages.row_index(view.places), seen, windowed)


def tiles_of(view: View, pages: PageStorage, shape: Shape) -> Iterator[Tiles]:
    nothing = np.zeros(1, np.uint8)
    if len(view.rows.inputs):
        yield on_device(row_table(view.rows), pages.rows(view.rows.slots), nothing, pages, masked=False)
    if view.blocks:
        slots = np.concatenate([block.slots for block in view.blocks])
        table, bits = block_table(view.blocks, shape)
        yield on_device(table, pages.rows(slots), bits, pages, masked=True)


def on_device(table: Ints, rows: Ints, bits: Bytes, pages: PageStorage, masked: bool) -> Tiles:
    return Tiles(pages.device.sent(table), pages.device.sent(rows), pages.device.sent(bits), masked)


def row_table(rows: Rows) -> Ints:
    """A tile for each input."""
    table = np.zeros((len(rows.inputs), ENTRIES), np.int32)
    table[:, 0], table[:, 1] = rows.inputs, 1
    table[:, 2], table[:, 3] = rows.starts[:-1], np.diff(rows.starts)
    return table


def block_table(blocks: list[Block], shape: Shape) -> tuple[Ints, Bytes]:
    """Tiles of all blocks, and their masks. A tile ends its list where none of its inputs sees more: with
    positions in order this leaves out the half that causality hides."""
    entries, masks, slots, bytes_before = [], [], 0, 0
    for block in blocks:
        bits = np.packbits(block.mask, axis=1, bitorder="little")
        stride = bits.shape[1]
        for start in range(0, len(bits), shape.block_inputs):
            mask = block.mask[start : start + shape.block_inputs]
            length = int(np.flatnonzero(mask.any(0)).max(initial=-1)) + 1
            entries.append(
                (block.first + start, len(mask), slots, length, bytes_before + start * stride, stride)
            )
        masks.append(bits.ravel())
        slots += len(block.slots)
        bytes_before += bits.size
    return np.array(entries, np.int32), np.concatenate(masks)
