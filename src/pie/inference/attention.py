"""Attention over paged keys and values.

`Attention` is what the model needs; a compiled kernel can take the place of `TorchAttention`.
"""

from typing import Protocol

import torch

from pie.inference.attention_blocks import BlockAttention
from pie.inference.attention_rows import RowAttention
from pie.inference.storage import PageStorage
from pie.inference.visibility import View


class Attention(Protocol):
    """Built once; `begin` for each pass, then for each layer `store` and `attend`."""

    def begin(self, view: View) -> None: ...

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Keeps the pass's own keys and values ([inputs, kv_heads * head_dim]) in their places."""
        ...

    def attend(self, layer: int, queries: torch.Tensor) -> torch.Tensor:
        """[inputs, heads * head_dim] to the same; an input that sees nothing gets zeros."""
        ...


class TorchAttention:
    """Plain torch, for pages in fp32: inputs that decode and longer segments, each in their own way."""

    def __init__(self, pages: PageStorage, heads: int) -> None:
        self._pages = pages
        self._width = heads * pages.head_dim
        self._keys = [pages.keys(layer) for layer in range(pages.layers)]
        self._values = [pages.values(layer) for layer in range(pages.layers)]
        self._rows = RowAttention(pages, heads)
        self._blocks = BlockAttention(pages, heads)
        self._places = torch.empty(0, dtype=torch.int64)

    def begin(self, view: View) -> None:
        self._places = torch.from_numpy(self._pages.rows(view.places)).long()
        self._rows.begin(view.rows)
        self._blocks.begin(view.blocks)

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._pages.write(layer, self._places, keys, values)

    def attend(self, layer: int, queries: torch.Tensor) -> torch.Tensor:
        keys, values = self._keys[layer], self._values[layer]
        if self._rows.are_all(len(queries)):
            return self._rows.attend_all(queries, keys, values)
        out = torch.empty(len(queries), self._width)
        self._rows.attend(queries, keys, values, out)
        self._blocks.attend(queries, keys, values, out)
        return out
