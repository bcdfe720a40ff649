"""How prepared weights lie in one flat file: which tensor where, made of which of the checkpoint's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pie.models import LlamaConfig

Floats = NDArray[np.float32]
VERSION = 1
"""Count up whenever the file would differ."""
ALIGNMENT = 1024
"""Numbers; tensors begin on whole pages of memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """A checkpoint tensor and the place of its first number. `heads`: its rows go into rotary pairs."""

    start: int
    size: int
    heads: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """A tensor of the prepared file: its first number and its shape."""

    start: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """`regions` by the model's own names, `parts` by the checkpoint's. `size` counts numbers."""

    regions: dict[str, Region]
    parts: dict[str, Part]
    size: int


class Planner:
    """Places regions one after the other."""

    def __init__(self) -> None:
        self.regions: dict[str, Region] = {}
        self.parts: dict[str, Part] = {}
        self.size = 0

    def add(self, name: str, columns: int, *sources: tuple[str, int, int]) -> None:
        """A region of all `sources` (name, rows, heads to reorder) one below the other."""
        rows = sum(count for _, count, _ in sources)
        self.regions[name] = Region(self.size, (rows, columns))
        for source, count, heads in sources:
            self.parts[source] = Part(self.size, count * columns, heads)
            self.size += count * columns
        self.size = -(-self.size // ALIGNMENT) * ALIGNMENT


def plan_layout(config: LlamaConfig) -> Layout:
    planner = Planner()
    hidden, vocabulary = config.hidden_size, config.vocabulary_size
    planner.add("embedding", hidden, ("model.embed_tokens.weight", vocabulary, 0))
    for layer in range(config.layers):
        plan_layer(planner, config, layer)
    planner.add("norm", 1, ("model.norm.weight", hidden, 0))
    if not config.tied_embeddings:
        planner.add("head", hidden, ("lm_head.weight", vocabulary, 0))
    return Layout(planner.regions, planner.parts, planner.size)


def plan_layer(planner: Planner, config: LlamaConfig, layer: int) -> None:
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    source, name = f"model.layers.{layer}.", f"{layer}."
    attention, mlp = source + "self_attn.", source + "mlp."
    planner.add(name + "attention_norm", 1, (source + "input_layernorm.weight", hidden, 0))
    planner.add(
        name + "qkv",
        hidden,
        (attention + "q_proj.weight", queries, config.heads),
        (attention + "k_proj.weight", keys, config.kv_heads),
        (attention + "v_proj.weight", keys, 0),
    )
    planner.add(name + "out", queries, (attention + "o_proj.weight", hidden, 0))
    planner.add(name + "mlp_norm", 1, (source + "post_attention_layernorm.weight", hidden, 0))
    planner.add(
        name + "gate_up", hidden, (mlp + "gate_proj.weight", inner, 0), (mlp + "up_proj.weight", inner, 0)
    )
    planner.add(name + "down", inner, (mlp + "down_proj.weight", hidden, 0))


def in_pairs(values: Floats, heads: int) -> Floats:
    """Rows i and i + head_dim / 2 of each head become neighbours."""
    rows, columns = values.shape
    split = values.reshape(heads, 2, rows // heads // 2, columns)
    return split.swapaxes(1, 2).reshape(rows, columns)


def arranged(part: Part, values: Floats) -> Floats:
    """`values` flat, as the file wants them. Raises `ValueError` for another size."""
    if values.size != part.size:
        raise ValueError(f"a tensor has {values.size} numbers instead of {part.size}")
    ordered = in_pairs(values, part.heads) if part.heads else values
    return np.ascontiguousarray(ordered, np.float32).ravel()


