"""Attention on the compiled kernels: walks the pages where they lie, nothing is gathered."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.inference.attention import Attention
from pie.inference.kernels import library
from pie.inference.kernels.library import Kernels, address
from pie.inference.storage import PageStorage
from pie.inference.visibility import View

Floats = NDArray[np.float32]


class CompiledView:
    """What a pass's inputs see, as the kernels want it. Keeps alive what it points to."""

    def __init__(self, view: View, pages: PageStorage) -> None:
        places, slots = pages.rows(view.places), pages.rows(view.rows.slots)
        inputs = np.ascontiguousarray(view.rows.inputs, np.int32)
        starts = np.ascontiguousarray(view.rows.starts, np.int64)
        lists = [pages.rows(block.slots) for block in view.blocks]
        masks = [np.ascontiguousarray(block.mask) for block in view.blocks]
        blocks = (library.Block * len(lists))(
            *(
                library.Block(block.first, block.last, len(rows), 0, address(rows), address(mask))
                for block, rows, mask in zip(view.blocks, lists, masks, strict=True)
            )
        )
        self.places = places
        self._alive: Sequence[object] = (slots, inputs, starts, lists, masks, blocks)
        self.struct = library.View(
            len(places), len(inputs), len(lists), 0,
            address(places), address(inputs), address(slots), address(starts), blocks,
        )  # fmt: skip


class CompiledAttention(Attention):
    """Over pages in numpy. Most passes only `begin`: their layers all run in one call."""

    def __init__(self, kernels: Kernels, pages: PageStorage, heads: int) -> None:
        self._kernels = kernels
        self._pages = pages
        self._scale = np.float32(pages.head_dim**-0.5)
        self._heads = library.Heads(heads, pages.kv_heads, pages.head_dim)
        self._cells = cells_of(pages)
        self._view: CompiledView | None = None
        self.windowed: CompiledView | None = None
        """What windowed layers see, where that is not the same."""

    @property
    def view(self) -> CompiledView:
        if self._view is None:
            raise RuntimeError("attend before begin")
        return self._view

    def begin(self, view: View) -> None:
        self._view = CompiledView(view, self._pages)
        self.windowed = CompiledView(view.windowed, self._pages) if view.windowed else None

    def store(self, layer: int, keys: Floats, values: Floats) -> None:
        self._pages.write(layer, self.view.places, keys, values)

    def attend(self, layer: int, queries: Floats, windowed: bool = False) -> Floats:
        view = (self.windowed if windowed else None) or self.view
        scaled = np.ascontiguousarray(queries * self._scale)
        out = np.empty_like(scaled)
        self._kernels.attend(
            self._heads, self._cells, view.struct, layer, self._kernels.threads, address(scaled), address(out)
        )
        return out


def cells_of(pages: PageStorage) -> library.Pages:
    numbers = ("fp32", "int8").index(pages.precision)
    cells: NDArray[Any] = pages.cells
    return library.Pages(address(cells), pages.page_size, pages.kv_heads, pages.head_dim, numbers)
