"""Attention over paged keys and values in plain torch; the reference, and what works without a compiler."""

import torch

from pie.inference.attention_blocks import BlockAttention
from pie.inference.attention_rows import RowAttention
from pie.inference.storage import PageStorage
from pie.inference.visibility import View


class Plans:
    """One view, made ready for all layers that share it."""

    def __init__(self, pages: PageStorage, heads: int) -> None:
        self.rows = RowAttention(pages, heads)
        self.blocks = BlockAttention(pages, heads)

    def begin(self, view: View) -> None:
        self.rows.begin(view.rows)
        self.blocks.begin(view.blocks)


class TorchAttention:
    """For pages in fp32: inputs that decode and longer segments, each in their own way."""

    def __init__(self, pages: PageStorage, heads: int) -> None:
        self._pages = pages
        self._width = heads * pages.head_dim
        self._keys = [pages.keys(layer) for layer in range(pages.layers)]
        self._values = [pages.values(layer) for layer in range(pages.layers)]
        self._plans = Plans(pages, heads), Plans(pages, heads)
        self._narrow = False
        self._places = torch.empty(0, dtype=torch.int64)

    def begin(self, view: View) -> None:
        self._places = self._pages.row_index(view.places)
        self._narrow = view.windowed is not None
        for plans, seen in zip(self._plans, (view, view.windowed), strict=True):
            if seen is not None:
                plans.begin(seen)

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._pages.write(layer, self._places, keys, values)

    def attend(self, layer: int, queries: torch.Tensor, windowed: bool = False) -> torch.Tensor:
        plans = self._plans[windowed and self._narrow]
        keys, values = self._keys[layer], self._values[layer]
        if plans.rows.are_all(len(queries)):
            return plans.rows.attend_all(queries, keys, values)
        out = queries.new_empty(len(queries), self._width)
        plans.rows.attend(queries, keys, values, out)
        plans.blocks.attend(queries, keys, values, out)
        return out
