"""What lives on the device between passes: key-value pages and embedding slots."""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pie.inference.columns import Bools, Ints
from pie.inference.device import Array, Device
from pie.models import ModelConfig

NOT_WRITTEN = -1


KvPrecision = Literal["fp32", "int8"]
MOST = 127
SCALE_BYTES = 4


class PageStorage:
    """Keys and values of every layer in pages, and what is known about each token slot.

    `cells` is [pages, layers, 2, page_size, ...]: all of a page lies together, so that little memory is
    touched and a page moves as one block. In fp32 the rest is [kv_heads, head_dim]; in int8 it is the bytes
    of a slot: the numbers of all heads, then a scale (fp32) for each head. Slot `s` is token `s % page_size`
    of page `s // page_size`. After the `pages` that others may name come a page that stays zero (`zero_slot`,
    for padding) and scratch slots (`scratch_slot` on), for inputs of a pass that are not stored.

    Keys and values lie on `device`; what is known about slots stays with the processor, in numpy.
    """

    def __init__(
        self,
        config: ModelConfig,
        pages: int,
        page_size: int,
        scratch: int,
        precision: KvPrecision,
        device: Device,
    ) -> None:
        self.device = device
        self.page_size = page_size
        self.pages = pages
        self.layers = config.layers
        self.kv_heads = config.kv_heads
        self.head_dim = config.head_dim
        self.precision = precision
        self.zero_slot = pages * page_size
        self.scratch_slot = self.zero_slot + page_size
        total = pages + 1 + -(-scratch // page_size)
        self.cells = self._make_cells(total)
        self.positions: Ints = np.full(pages * page_size, NOT_WRITTEN, np.int32)
        self.visible: Bools = np.ones(pages * page_size, np.bool_)
        self._stride = self.layers * 2 * page_size
        self._rows = total * self._stride - (2 * self.layers - 1) * page_size

    @property
    def page_bytes(self) -> int:
        """Of the keys and values of one page, all layers."""
        return int(self.cells[0].nbytes)

    def _make_cells(self, total: int) -> Array:
        shape = (total, self.layers, 2, self.page_size)
        if self.precision == "fp32":
            return self.device.zeros(*shape, self.kv_heads, self.head_dim)
        return self.device.zeros(*shape, self.kv_heads * (self.head_dim + SCALE_BYTES), dtype=np.int8)

    def slots(self, pages: Ints) -> Ints:
        """[pages, page_size]"""
        every = np.arange(self.page_size, dtype=np.int32)
        return np.add.outer(pages * self.page_size, every).astype(np.int32, copy=False)

    def rows(self, slots: Ints) -> Ints:
        """Row of each slot in the views below: the same in every layer, for keys and for values."""
        found: Ints = slots // np.int32(self.page_size)
        found *= np.int32(self._stride - self.page_size)
        found += slots
        return found

    def row_index(self, slots: Ints) -> Array:
        """`rows`, on the device."""
        return self.device.sent(self.rows(slots).astype(np.int64))

    def keys(self, layer: int) -> Array:
        """[rows, kv_heads, head_dim], a view; only in fp32."""
        return self._view(2 * layer).reshape(self._rows, self.kv_heads, self.head_dim)

    def values(self, layer: int) -> Array:
        """[rows, kv_heads, head_dim], a view; only in fp32."""
        return self._view(2 * layer + 1).reshape(self._rows, self.kv_heads, self.head_dim)

    def read_keys(self, layer: int, rows: Array) -> Array:
        """[len(rows), kv_heads, head_dim] in fp32, a copy."""
        return self._numbers(self._view(2 * layer)[rows])

    def read_values(self, layer: int, rows: Array) -> Array:
        """[len(rows), kv_heads, head_dim] in fp32, a copy."""
        return self._numbers(self._view(2 * layer + 1)[rows])

    def write(self, layer: int, rows: Array, keys: Array, values: Array) -> None:
        """`keys` and `values` are [len(rows), kv_heads * head_dim]."""
        self._view(2 * layer)[rows] = self._cells_of(keys)
        self._view(2 * layer + 1)[rows] = self._cells_of(values)

    def _view(self, part: int) -> Array:
        # One window over the whole storage, shifted by whole blocks: a slot has one row number everywhere.
        width = math.prod(self.cells.shape[4:])
        flat = self.cells.reshape(-1)[part * self.page_size * width :]
        return flat[: self._rows * width].reshape(self._rows, width)

    def _cells_of(self, numbers: Array) -> Array:
        return numbers if self.precision == "fp32" else rounded(numbers, self.kv_heads)

    def _numbers(self, cells: Array) -> Array:
        if self.precision == "fp32":
            return cells.reshape(len(cells), self.kv_heads, self.head_dim)
        return not_rounded(cells, self.kv_heads)

    def clear(self, pages: Ints) -> None:
        """The tokens of `pages` count as not written and can be seen once they are."""
        self.positions.reshape(-1, self.page_size)[pages] = NOT_WRITTEN
        self.visible.reshape(-1, self.page_size)[pages] = True

    def copy(self, source: int, target: int, length: int) -> None:
        """Copies `length` slots (within one page each): keys, values, position, written, visible."""
        page, offset = divmod(source, self.page_size)
        to_page, to_offset = divmod(target, self.page_size)
        block = self.cells[page, :, :, offset : offset + length]
        if page == to_page:
            block = self.device.clone(block)
        self.cells[to_page, :, :, to_offset : to_offset + length] = block
        self.positions[target : target + length] = self.positions[source : source + length].copy()
        self.visible[target : target + length] = self.visible[source : source + length].copy()

    def copy_slots(self, sources: Ints, targets: Ints) -> None:
        """Copies keys and values of single slots, all layers."""
        from_pages, from_offsets = self._parts(sources)
        to_pages, to_offsets = self._parts(targets)
        moved = self.cells[from_pages, :, :, from_offsets]
        self.cells[to_pages, :, :, to_offsets] = moved

    def _parts(self, slots: Ints) -> tuple[Array, Array]:
        """Pages, and places in them."""
        pages, offsets = np.divmod(slots, np.int32(self.page_size))
        return self.device.sent(pages), self.device.sent(offsets)

    def take(self, page: int) -> NDArray[Any]:
        """A copy of a page's keys and values, in numpy."""
        (found,) = self.device.fetched(self.device.clone(self.cells[page]))
        return found

    def put(self, page: int, cells: NDArray[Any]) -> None:
        """What `take` gave."""
        self.cells[page] = self.device.sent(cells)

    def show(self, page: int, bits: int) -> None:
        """Bit i of `bits` says whether token i of the page can be seen."""
        start = page * self.page_size
        self.visible[start : start + self.page_size] = (bits >> np.arange(self.page_size)) & 1


def rounded(numbers: NDArray[np.float32], heads: int) -> NDArray[np.int8]:
    """[tokens, heads * head_dim] to the bytes of slots."""
    split = numbers.reshape(len(numbers), heads, -1)
    scales = np.abs(split).max(2, keepdims=True) * np.float32(1 / MOST)
    with np.errstate(invalid="ignore"):  # heads of zeros, and numbers that are none
        whole = np.rint(np.nan_to_num(split / scales)).astype(np.int8)
    parts = whole.reshape(len(numbers), -1), scales.reshape(len(numbers), heads).view(np.int8)
    return np.concatenate(parts, 1)


def not_rounded(cells: NDArray[np.int8], heads: int) -> NDArray[np.float32]:
    """The bytes of slots to [tokens, heads, head_dim]."""
    width = cells.shape[1] - heads * SCALE_BYTES
    scales = np.ascontiguousarray(cells[:, width:]).view(np.float32)
    return cells[:, :width].reshape(len(cells), heads, -1) * scales[:, :, None]


class EmbStorage:
    """Embedding slots: what goes into the model and the hidden states that come out. [embs, hidden]."""

    def __init__(self, embs: int, hidden: int, device: Device) -> None:
        self.device = device
        self.vectors = device.zeros(embs, hidden)
        self.positions: Ints = np.full(embs, NOT_WRITTEN, np.int32)

    def written(self, slots: Ints) -> Bools:
        return self.positions[slots] >= 0

    def write(self, slots: Ints, vectors: Array, positions: Ints) -> None:
        self.vectors[self.device.sent(slots)] = vectors
        self.positions[slots] = positions

    def read(self, slots: Ints) -> Array:
        """[len(slots), hidden], a copy."""
        return self.vectors[self.device.sent(slots)]


class SlotStorage:
    """Token slots: tokens that were sampled here, for embeds that are queued before anybody knows them."""

    def __init__(self, slots: int) -> None:
        self.tokens: Ints = np.full(slots, NOT_WRITTEN, np.int32)

    def written(self, slots: Ints) -> Bools:
        return self.tokens[slots] >= 0
