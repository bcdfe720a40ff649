"""What lives on the device between passes: key-value pages and embedding slots."""

from typing import Literal

import numpy as np
import torch

from pie.inference.columns import Bools, Ints
from pie.inference.devices import CPU, sent
from pie.models import ModelConfig

NOT_WRITTEN = -1


KvPrecision = Literal["fp32", "int8"]
MOST = 127
SCALE_BYTES = 4


def lazy_zeros(*shape: int, dtype: type[np.generic] = np.float32, device: torch.device = CPU) -> torch.Tensor:
    """Zeros; in the processor's memory they take room only once they are touched: an idle driver stays small,
    and what was never written is finite."""
    if device != CPU:
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        return torch.zeros(shape, dtype=kind, device=device)
    return torch.from_numpy(np.zeros(shape, dtype))


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
        precision: KvPrecision = "fp32",
        device: torch.device = CPU,
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
        return self.cells[0].numel() * self.cells.element_size()

    def _make_cells(self, total: int) -> torch.Tensor:
        shape = (total, self.layers, 2, self.page_size)
        if self.precision == "fp32":
            return lazy_zeros(*shape, self.kv_heads, self.head_dim, device=self.device)
        width = self.kv_heads * (self.head_dim + SCALE_BYTES)
        return lazy_zeros(*shape, width, dtype=np.int8, device=self.device)

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

    def keys(self, layer: int) -> torch.Tensor:
        """[rows, kv_heads, head_dim], a view; only in fp32."""
        return self._view(2 * layer).view(self._rows, self.kv_heads, self.head_dim)

    def values(self, layer: int) -> torch.Tensor:
        """[rows, kv_heads, head_dim], a view; only in fp32."""
        return self._view(2 * layer + 1).view(self._rows, self.kv_heads, self.head_dim)

    def row_tensor(self, slots: Ints) -> torch.Tensor:
        """`rows`, as an index on the device."""
        return sent(self.rows(slots), self.device).long()

    def read_keys(self, layer: int, rows: torch.Tensor) -> torch.Tensor:
        """[len(rows), kv_heads, head_dim] in fp32, a copy."""
        return self._numbers(self._view(2 * layer).index_select(0, rows))

    def read_values(self, layer: int, rows: torch.Tensor) -> torch.Tensor:
        """[len(rows), kv_heads, head_dim] in fp32, a copy."""
        return self._numbers(self._view(2 * layer + 1).index_select(0, rows))

    def write(self, layer: int, rows: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """`keys` and `values` are [len(rows), kv_heads * head_dim]."""
        self._view(2 * layer).index_copy_(0, rows, self._cells_of(keys))
        self._view(2 * layer + 1).index_copy_(0, rows, self._cells_of(values))

    def _view(self, part: int) -> torch.Tensor:
        # One window over the whole storage, shifted by whole blocks: a slot has one row number everywhere.
        width = self.cells[0, 0, 0, 0].numel()
        flat = self.cells.view(-1)[part * self.page_size * width :]
        return flat[: self._rows * width].view(self._rows, width)

    def _cells_of(self, numbers: torch.Tensor) -> torch.Tensor:
        if self.precision == "fp32":
            return numbers
        heads = numbers.reshape(len(numbers), self.kv_heads, self.head_dim)
        scales = heads.abs().amax(2, keepdim=True).mul_(1 / MOST)
        rounded = (heads / scales).nan_to_num_(0.0).round_().to(torch.int8)
        return torch.cat((rounded.flatten(1), scales.flatten(1).view(torch.int8)), 1)

    def _numbers(self, cells: torch.Tensor) -> torch.Tensor:
        if self.precision == "fp32":
            return cells.view(len(cells), self.kv_heads, self.head_dim)
        width = self.kv_heads * self.head_dim
        heads = cells[:, :width].view(len(cells), self.kv_heads, self.head_dim)
        return heads * cells[:, width:].contiguous().view(torch.float32)[:, :, None]

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
            block = block.clone()
        self.cells[to_page, :, :, to_offset : to_offset + length] = block
        self.positions[target : target + length] = self.positions[source : source + length].copy()
        self.visible[target : target + length] = self.visible[source : source + length].copy()

    def copy_slots(self, sources: Ints, targets: Ints) -> None:
        """Copies keys and values of single slots, all layers."""
        from_pages, from_offsets = self._parts(sources)
        to_pages, to_offsets = self._parts(targets)
        moved = self.cells[from_pages, :, :, from_offsets]
        self.cells[to_pages, :, :, to_offsets] = moved

    def _parts(self, slots: Ints) -> tuple[torch.Tensor, torch.Tensor]:
        """Pages, and places in them."""
        pages, offsets = np.divmod(slots, np.int32(self.page_size))
        return sent(pages, self.device), sent(offsets, self.device)

    def show(self, page: int, bits: int) -> None:
        """Bit i of `bits` says whether token i of the page can be seen."""
        start = page * self.page_size
        self.visible[start : start + self.page_size] = (bits >> np.arange(self.page_size)) & 1


class EmbStorage:
    """Embedding slots: what goes into the model and the hidden states that come out. [embs, hidden]."""

    def __init__(self, embs: int, hidden: int, device: torch.device = CPU) -> None:
        self.device = device
        self.vectors = lazy_zeros(embs, hidden, device=device)
        self._array = self.vectors.numpy() if device == CPU else None
        """The same memory: for few rows numpy takes a third of torch's time."""
        self.positions: Ints = np.full(embs, NOT_WRITTEN, np.int32)

    def written(self, slots: Ints) -> Bools:
        return self.positions[slots] >= 0

    def write(self, slots: Ints, vectors: torch.Tensor, positions: Ints) -> None:
        if self._array is None:
            self.vectors.index_copy_(0, sent(slots, self.device).long(), vectors)
        else:
            self._array[slots] = vectors.numpy()
        self.positions[slots] = positions

    def read(self, slots: Ints) -> torch.Tensor:
        """[len(slots), hidden], a copy."""
        if self._array is None:
            return self.vectors.index_select(0, sent(slots, self.device))
        return torch.from_numpy(self._array.take(slots, 0))


class SlotStorage:
    """Token slots: tokens that were sampled here, for embeds that are queued before anybody knows them."""

    def __init__(self, slots: int) -> None:
        self.tokens: Ints = np.full(slots, NOT_WRITTEN, np.int32)

    def written(self, slots: Ints) -> Bools:
        return self.tokens[slots] >= 0
