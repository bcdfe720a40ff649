"""Attention over paged keys and values.

`Attention` is what the model needs; a compiled kernel can take the place of `TorchAttention`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import embedding_bag, scaled_dot_product_attention

from pie.inference.columns import Bools, Ints
from pie.inference.sparse import csr, silence_notice
from pie.inference.storage import PageStorage
from pie.inference.visibility import Block, Rows, View

HIDDEN = -1e30
"""Added to the score of a padding slot: its weight becomes exactly zero."""
FOLD_QUERIES = 256
"""Blocks up to this many inputs lay a group's query heads side by side (faster, but a larger mask)."""
WASTE = 2
"""A row shorter than the longest of its bucket by this factor begins a new bucket."""


class Attention(Protocol):
    """Built once; `begin` for each pass, then for each layer `store` and `attend`."""

    def begin(self, view: View) -> None: ...

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Keeps the pass's own keys and values ([inputs, kv_heads * head_dim]) in their places."""
        ...

    def attend(self, layer: int, queries: torch.Tensor) -> torch.Tensor:
        """[inputs, heads * head_dim] to the same; an input that sees nothing gets zeros."""
        ...


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of similar length, padded: `pattern` is sparse [rows * heads, storage rows]."""

    inputs: torch.Tensor | None
    """Which inputs they are; None: all, in order."""
    pattern: torch.Tensor
    columns: torch.Tensor
    offsets: torch.Tensor
    length: int


@dataclass(frozen=True, slots=True)
class BlockPlan:
    first: int
    last: int
    rows: torch.Tensor
    mask: torch.Tensor
    fold: bool
    blind: torch.Tensor | None
    """Inputs of the block that see nothing."""


class TorchAttention:
    """Plain torch. Decode rows never copy keys or values: scores are a sampled product of queries and the
    whole storage, and the weighted sum is an embedding bag over it. Blocks gather what they see."""

    def __init__(self, pages: PageStorage, heads: int) -> None:
        silence_notice()
        self._pages = pages
        self._heads = heads
        self._group = heads // pages.kv_heads
        self._scale = pages.head_dim**-0.5
        self._keys = [pages.keys(layer) for layer in range(pages.layers)]
        self._values = [pages.values(layer) for layer in range(pages.layers)]
        self._places = torch.empty(0, dtype=torch.int64)
        self._buckets: list[Bucket] = []
        self._blocks: list[BlockPlan] = []
        self._inputs = 0

    def begin(self, view: View) -> None:
        self._inputs = len(view.places)
        self._places = torch.from_numpy(self._pages.rows(view.places)).long()
        self._buckets = [self._bucket(view.rows, members) for members in by_length(view.rows)]
        self._blocks = [self._block(block) for block in view.blocks]

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        shape = (self._inputs, self._pages.kv_heads, self._pages.head_dim)
        self._keys[layer].index_copy_(0, self._places, keys.view(shape))
        self._values[layer].index_copy_(0, self._places, values.view(shape))

    def attend(self, layer: int, queries: torch.Tensor) -> torch.Tensor:
        if len(self._buckets) == 1 and self._buckets[0].inputs is None:
            return self._attend_rows(layer, queries, self._buckets[0])
        out = torch.empty(self._inputs, self._heads * self._pages.head_dim)
        for bucket in self._buckets:
            out[bucket.inputs] = self._attend_rows(layer, queries[bucket.inputs], bucket)
        for block in self._blocks:
            self._attend_block(layer, queries, block, out)
        return out

    def _attend_rows(self, layer: int, queries: torch.Tensor, bucket: Bucket) -> torch.Tensor:
        dim = self._pages.head_dim
        keys = self._keys[layer].view(-1, dim)
        products = torch.sparse.sampled_addmm(
            bucket.pattern, queries.reshape(-1, dim), keys.t(), beta=1.0, alpha=self._scale
        )
        weights = products.values().view(-1, bucket.length).softmax(-1)
        summed = embedding_bag(
            bucket.columns,
            self._values[layer].view(-1, dim),
            bucket.offsets,
            mode="sum",
            per_sample_weights=weights.view(-1),
        )
        return summed.view(-1, self._heads * dim)

    def _attend_block(self, layer: int, queries: torch.Tensor, block: BlockPlan, out: torch.Tensor) -> None:
        keys = self._keys[layer].index_select(0, block.rows).transpose(0, 1).unsqueeze(0)
        values = self._values[layer].index_select(0, block.rows).transpose(0, 1).unsqueeze(0)
        count, dim, target = block.last - block.first, self._pages.head_dim, out[block.first : block.last]
        query = queries[block.first : block.last].view(count, self._heads, dim).transpose(0, 1).unsqueeze(0)
        if block.fold:
            query = query.reshape(1, self._pages.kv_heads, self._group * count, dim)
        result = scaled_dot_product_attention(
            query, keys, values, attn_mask=block.mask, scale=self._scale, enable_gqa=not block.fold
        )
        target.view(count, self._heads, dim).copy_(result.reshape(self._heads, count, dim).transpose(0, 1))
        if block.blind is not None:
            target[block.blind] = 0.0

    def _bucket(self, rows: Rows, members: Ints) -> Bucket:
        starts = rows.starts[members]
        lengths = rows.starts[members + 1] - starts
        longest = max(1, int(lengths.max()))
        padding = np.arange(longest) >= lengths[:, None]
        places = np.where(padding, 0, starts[:, None] + np.arange(longest))
        slots = rows.slots[places] if len(rows.slots) else np.zeros_like(padding, np.int32)
        slots = np.where(padding, np.int32(self._pages.zero_slot), slots)
        columns = torch.from_numpy(self._spread(self._pages.rows(slots)))
        offsets = torch.arange(0, columns.numel() + 1, longest, dtype=torch.int32)
        masked = np.repeat(np.where(padding, np.float32(HIDDEN), np.float32(0.0)), self._heads, axis=0)
        size = (len(members) * self._heads, self._keys[0].shape[0] * self._pages.kv_heads)
        pattern = csr(offsets, columns, torch.from_numpy(masked.ravel()), size)
        everyone = len(members) == self._inputs
        inputs = None if everyone else torch.from_numpy(rows.inputs[members]).long()
        return Bucket(inputs, pattern, columns, offsets[:-1], longest)

    def _spread(self, rows: Ints) -> Ints:
        """[inputs, length] storage rows to the flat columns of every head: [inputs, heads, length]."""
        heads = np.arange(self._heads, dtype=np.int32)[:, None] // np.int32(self._group)
        return (rows[:, None, :] * np.int32(self._pages.kv_heads) + heads).ravel()

    def _block(self, block: Block) -> BlockPlan:
        mask = block.mask
        blind: Bools = ~np.any(mask, 1)
        if blind.any():
            mask = mask | blind[:, None]
        fold = self._group > 1 and len(mask) <= FOLD_QUERIES
        if fold:
            mask = np.tile(mask, (self._group, 1))
        return BlockPlan(
            block.first,
            block.last,
            torch.from_numpy(self._pages.rows(block.slots)),
            torch.from_numpy(mask),
            fold,
            torch.from_numpy(np.flatnonzero(blind)) if blind.any() else None,
        )


def by_length(rows: Rows) -> list[Ints]:
    """Indices of rows that are padded together. One bucket, in order, where lengths are alike."""
    lengths = np.diff(rows.starts)
    if not len(lengths):
        return []
    if lengths.max() <= WASTE * max(1, int(lengths.min())):
        return [np.arange(len(lengths), dtype=np.int32)]
    order = np.argsort(-lengths, kind="stable").astype(np.int32)
    buckets, first = [], 0
    for index in range(1, len(order)):
        if lengths[order[first]] > WASTE * lengths[order[index]]:
            buckets.append(order[first:index])
            first = index
    return [*buckets, order[first:]]
