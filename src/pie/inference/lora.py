"""LoRA while the model runs: each group of tokens with its own adapter, side by side in one batch.

Nothing is merged: after each product W x of a layer, scale * B (A x) is added to the rows of those tokens
whose forward asked for that adapter; the rows of others are not touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch

from pie.inference.columns import Columns
from pie.inference.layout import in_pairs
from pie.models import Adapter, LlamaConfig, LoraModule
from pie.models.adapters import linear_shapes

PRODUCTS: Mapping[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""The checkpoint's layers in each product of a layer, one below the other, as `layout.py` fuses them."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of a product's layers: rows `first` to `last` of its output, from ranks `start` to `stop`."""

    first: int
    last: int
    start: int
    stop: int
    b: torch.Tensor
    """[ranks, rows], the scale included."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an adapter does to one product: `a` is [in, ranks], of all its layers side by side."""

    a: torch.Tensor
    parts: Sequence[Part]

    def of(self, inputs: torch.Tensor, width: int) -> torch.Tensor:
        """[tokens, in] to [tokens, width]."""
        low = inputs @ self.a
        if len(self.parts) == 1 and self.parts[0].last - self.parts[0].first == width:
            return low @ self.parts[0].b
        change = inputs.new_zeros(len(inputs), width)
        for part in self.parts:
            change[:, part.first : part.last] = low[:, part.start : part.stop] @ part.b
        return change


Changes = Mapping[tuple[int, str], Change]
"""By layer and product; one that is missing changes nothing."""


@dataclass(frozen=True, slots=True)
class Group:
    """The tokens of a pass (indices into its inputs) that go through one adapter."""

    changes: Changes
    tokens: torch.Tensor


@dataclass(frozen=True, slots=True)
class BatchLora:
    """The adapters of one pass."""

    groups: Sequence[Group]

    def add(self, layer: int, product: str, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Adds to `outputs` ([tokens, out], any strides) what adapters make of `inputs` ([tokens, in])."""
        for group in self.groups:
            change = group.changes.get((layer, product))
            if change is not None:
                chosen = inputs.index_select(0, group.tokens)
                outputs.index_add_(0, group.tokens, change.of(chosen, outputs.shape[1]))


class Lora:
    """All adapters of a driver, in the order of `DriverSpec.adapters`."""

    def __init__(self, adapters: Sequence[Adapter], config: LlamaConfig) -> None:
        """Reads the adapters' numbers. Raises `BadModel`."""
        self.names = tuple(adapter.name for adapter in adapters)
        self._changes = [read_changes(adapter, config) for adapter in adapters]

    def batch(self, work: Columns) -> BatchLora | None:
        """Who goes through which adapter; None for a pass without any."""
        if not len(work.adapted):
            return None
        rows = sorted(work.adapted.tolist(), key=itemgetter(1))
        return BatchLora([
            Group(self._changes[adapter], tokens_of(work, [segment for segment, _ in members]))
            for adapter, members in groupby(rows, key=itemgetter(1))
        ])


def tokens_of(work: Columns, segments: Sequence[int]) -> torch.Tensor:
    starts = work.input_starts
    return torch.from_numpy(np.concatenate([np.arange(starts[i], starts[i + 1]) for i in segments])).long()


def read_changes(adapter: Adapter, config: LlamaConfig) -> Changes:
    changes: dict[tuple[int, str], Change] = {}
    for layer in range(config.layers):
        for product, modules in PRODUCTS.items():
            change = read_change(adapter, config, f"model.layers.{layer}.", modules)
            if change is not None:
                changes[layer, product] = change
    return changes


def read_change(
    adapter: Adapter, config: LlamaConfig, prefix: str, modules: Sequence[str]
) -> Change | None:
    shapes = linear_shapes(config)
    parts: list[Part] = []
    columns: list[torch.Tensor] = []
    first = start = 0
    for module in modules:
        last = first + shapes[prefix + module][0]
        lora = adapter.modules.get(prefix + module)
        if lora is not None:
            stop = start + lora.rank
            parts.append(Part(first, last, start, stop, read_b(lora, paired_heads(config, module))))
            columns.append(torch.from_numpy(lora.a.read()).t())
            start = stop
        first = last
    return Change(torch.cat(columns, dim=1), parts) if parts else None


def paired_heads(config: LlamaConfig, module: str) -> int:
    """How many heads' rows go into rotary pairs, as the model's own do; 0: they stay as they are."""
    return {"self_attn.q_proj": config.heads, "self_attn.k_proj": config.kv_heads}.get(module, 0)


def read_b(lora: LoraModule, heads: int) -> torch.Tensor:
    b = lora.b.read()
    rows = in_pairs(b, heads) if heads else b
    return torch.from_numpy(np.ascontiguousarray(rows.T * np.float32(lora.scale)))
