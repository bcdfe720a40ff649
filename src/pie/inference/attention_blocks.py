"""Attention for segments of several inputs: prefill, speculation.

What a block can see is gathered once per layer; its inputs go in parts, each with the columns that it may
see (with positions in order this leaves out the half that causality hides).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from pie.inference.columns import Bools
from pie.inference.storage import PageStorage
from pie.inference.visibility import Block

PART_INPUTS = 128
"""Measured: 64 to 256 are alike, more or fewer are slower."""


@dataclass(frozen=True, slots=True)
class Part:
    """Inputs `first` to `last` of the pass see at most the first `width` gathered slots."""

    first: int
    last: int
    width: int
    mask: torch.Tensor
    """[group * inputs, width]: the query heads that share keys lie one below the other."""
    blind: torch.Tensor | None
    """Inputs of the part that see nothing."""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    rows: torch.Tensor
    parts: list[Part]


class BlockAttention:
    def __init__(self, pages: PageStorage, heads: int) -> None:
        self._pages = pages
        self._heads = heads
        self._group = heads // pages.kv_heads
        self._plans: list[BlockPlan] = []

    def begin(self, blocks: list[Block]) -> None:
        self._plans = [self._plan(block) for block in blocks]

    def attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, out: torch.Tensor
    ) -> None:
        for plan in self._plans:
            seen_keys = keys.index_select(0, plan.rows).transpose(0, 1).unsqueeze(0)
            seen_values = values.index_select(0, plan.rows).transpose(0, 1).unsqueeze(0)
            for part in plan.parts:
                width = part.width
                self._attend(part, queries, seen_keys[:, :, :width], seen_values[:, :, :width], out)

    def _attend(
        self, part: Part, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, out: torch.Tensor
    ) -> None:
        count, dim, target = part.last - part.first, self._pages.head_dim, out[part.first : part.last]
        query = queries[part.first : part.last].view(count, self._heads, dim).transpose(0, 1)
        folded = query.reshape(1, self._pages.kv_heads, self._group * count, dim)
        result = scaled_dot_product_attention(folded, keys, values, attn_mask=part.mask)
        target.view(count, self._heads, dim).copy_(result.view(self._heads, count, dim).transpose(0, 1))
        if part.blind is not None:
            target[part.blind] = 0.0

    def _plan(self, block: Block) -> BlockPlan:
        return BlockPlan(self._pages.row_index(block.slots), list(self._parts(block)))

    def _parts(self, block: Block) -> Iterator[Part]:
        device = self._pages.device
        for start in range(0, len(block.mask), PART_INPUTS):
            mask = block.mask[start : start + PART_INPUTS]
            first = block.first + start
            blind: Bools = ~np.any(mask, axis=1)
            width = 1 + int(np.flatnonzero(np.any(mask, axis=0)).max(initial=0))
            shown = np.tile(mask[:, :width], (self._group, 1))
            yield Part(
                first,
                first + len(mask),
                width,
                device.sent(shown),
                device.sent(np.flatnonzero(blind)) if blind.any() else None,
            )
