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
from pie.inference.device import Device
from pie.inference.devices import tensor_on
from pie.inference.layout import Floats, in_pairs
from pie.models import Adapter, LoraModule, ModelConfig
from pie.models.adapters import linear_shapes

PRODUCTS: Mapping[str, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""The checkpoint's layers in each product of a layer, one below the other, as `layout.py` fuses them."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an adapter does to one product: `a` is [in, ranks], `b` [ranks, out], the scale included.

    The ranks of the product's layers stand side by side, so `b` is zero but for a block for each of them: two
    products of small matrices are cheaper than two for each layer.
    """

    a: torch.Tensor
    b: torch.Tensor


Changes = Mapping[tuple[int, str], Change]
"""By layer and product; one that is missing changes nothing."""


@dataclass(frozen=True, slots=True)
class Group:
    """The tokens of a pass (indices into its inputs; None: all) that go through one adapter."""

    changes: Changes
    tokens: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class BatchLora:
    """The adapters of one pass."""

    groups: Sequence[Group]

    def add(self, layer: int, product: str, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Adds to `outputs` ([tokens, out], any strides) what adapters make of `inputs` ([tokens, in])."""
        for group in self.groups:
            change = group.changes.get((layer, product))
            if change is None:
                continue
            if group.tokens is None:
                outputs.add_(inputs @ change.a @ change.b)
            else:
                chosen = inputs.index_select(0, group.tokens)
                outputs.index_add_(0, group.tokens, chosen @ change.a @ change.b)


class Lora:
    """All adapters of a driver, in the order of `DriverSpec.adapters`."""

    def __init__(self, adapters: Sequence[Adapter], config: ModelConfig, device: Device) -> None:
        """Reads the adapters' numbers. Raises `BadModel`."""
        self._device = device
        self.names = tuple(adapter.name for adapter in adapters)
        self._changes = [read_changes(adapter, config, device) for adapter in adapters]

    def batch(self, work: Columns) -> BatchLora | None:
        """Who goes through which adapter; None for a pass without any."""
        if not len(work.adapted):
            return None
        rows = sorted(work.adapted.tolist(), key=itemgetter(1))
        if len(rows) == work.segments and rows[0][1] == rows[-1][1]:
            return BatchLora([Group(self._changes[rows[0][1]], None)])
        return BatchLora(
            [
                Group(self._changes[adapter], self._tokens(work, [segment for segment, _ in members]))
                for adapter, members in groupby(rows, key=itemgetter(1))
            ]
        )

    def _tokens(self, work: Columns, segments: Sequence[int]) -> torch.Tensor:
        starts = work.input_starts
        found = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in segments])
        return tensor_on(self._device, found)


def read_changes(adapter: Adapter, config: ModelConfig, device: Device) -> Changes:
    changes: dict[tuple[int, str], Change] = {}
    for layer in range(config.layers):
        for product, modules in PRODUCTS.items():
            found = read_change(adapter, config, f"model.layers.{layer}.", modules)
            if found is not None:
                changes[layer, product] = Change(*(tensor_on(device, matrix) for matrix in found))
    return changes


def read_change(
    adapter: Adapter, config: ModelConfig, prefix: str, modules: Sequence[str]
) -> tuple[Floats, Floats] | None:
    """`a` and `b` of a `Change`."""
    shapes = linear_shapes(config)
    heights = [shapes[prefix + module][0] for module in modules]
    firsts = dict(zip(modules, np.cumsum([0, *heights]).tolist(), strict=False))
    named = {module: adapter.modules.get(prefix + module) for module in modules}
    found = {module: lora for module, lora in named.items() if lora is not None}
    if not found:
        return None
    b = np.zeros((sum(lora.rank for lora in found.values()), sum(heights)), np.float32)
    start = 0
    for module, lora in found.items():
        block = read_b(lora, paired_heads(config, module))
        b[start : start + lora.rank, firsts[module] : firsts[module] + block.shape[1]] = block
        start += lora.rank
    a = np.concatenate([lora.a.read() for lora in found.values()]).T
    return np.ascontiguousarray(a), b


def paired_heads(config: ModelConfig, module: str) -> int:
    """How many heads' rows go into rotary pairs, as the model's own do; 0: they stay as they are."""
    return {"self_attn.q_proj": config.heads, "self_attn.k_proj": config.kv_heads}.get(module, 0)


def read_b(lora: LoraModule, heads: int) -> Floats:
    """[rank, out]"""
    b = lora.b.read()
    rows = in_pairs(b, heads) if heads else b
    return np.ascontiguousarray(rows.T * np.float32(lora.scale))
