"""Which tensors the model needs, and how each lies in one flat file of prepared weights."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pie.models import ModelConfig

Floats = NDArray[np.float32]
VERSION = 3
"""Count up whenever the file would differ."""
ALIGNMENT = 4096
"""Bytes; regions begin on whole pages of memory."""


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor of the checkpoint. `heads`: its rows, or the numbers of a vector, go into rotary pairs."""

    name: str
    rows: int
    heads: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """One of the model's own tensors: all `sources` one below the other."""

    name: str
    kind: Literal["vector", "embedding", "product", "head"]
    columns: int
    sources: tuple[Source, ...]

    @property
    def rows(self) -> int:
        return sum(source.rows for source in self.sources)


@dataclass(frozen=True, slots=True)
class Region:
    """Part of the prepared file: its first byte, and what it holds (a numpy type)."""

    start: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Bytes."""
        count = np.dtype(self.dtype).itemsize
        for length in self.shape:
            count *= length
        return count


@dataclass(frozen=True, slots=True)
class Layout:
    """Regions by name, and the bytes of them all."""

    regions: dict[str, Region]
    size: int


Parts = dict[str, tuple[tuple[int, ...], str]]
"""What a tensor becomes: shape and numpy type by name."""


def lay_out(parts: Parts) -> Layout:
    regions: dict[str, Region] = {}
    size = 0
    for name, (shape, dtype) in parts.items():
        regions[name] = Region(size, shape, dtype)
        size += -(-regions[name].size // ALIGNMENT) * ALIGNMENT
    return Layout(regions, size)


def tensors_of(config: ModelConfig) -> Iterator[Tensor]:
    """In the order they are used. The head comes also where it is tied to the embedding."""
    hidden, vocabulary = config.hidden_size, config.vocabulary_size
    embedding = Source("model.embed_tokens.weight", vocabulary)
    yield Tensor("embedding", "embedding", hidden, (embedding,))
    for layer in range(config.layers):
        yield from tensors_of_layer(config, layer)
    yield Tensor("norm", "vector", 1, (Source("model.norm.weight", hidden),))
    head = embedding if config.tied_embeddings else Source("lm_head.weight", vocabulary)
    yield Tensor("head", "head", hidden, (head,))


def tensors_of_layer(config: ModelConfig, layer: int) -> Iterator[Tensor]:
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim

    def source(name: str, rows: int, heads: int = 0) -> Source:
        return Source(f"model.layers.{layer}.{name}", rows, heads)

    def vector(name: str, *sources: Source) -> Tensor:
        return Tensor(f"{layer}.{name}", "vector", 1, sources)

    q = source("self_attn.q_proj.weight", queries, config.heads)
    k = source("self_attn.k_proj.weight", keys, config.kv_heads)
    v = source("self_attn.v_proj.weight", keys)
    gate, up = source("mlp.gate_proj.weight", inner), source("mlp.up_proj.weight", inner)
    mlp_norm = "pre_feedforward_layernorm" if config.post_norms else "post_attention_layernorm"
    yield vector("attention_norm", source("input_layernorm.weight", hidden))
    yield Tensor(f"{layer}.qkv", "product", hidden, (q, k, v))
    if config.qkv_bias:
        yield vector("qkv_bias", *(replace(part, name=part.name[:-6] + "bias") for part in (q, k, v)))
    if config.qk_norm:
        yield vector("q_norm", source("self_attn.q_norm.weight", config.head_dim, 1))
        yield vector("k_norm", source("self_attn.k_norm.weight", config.head_dim, 1))
    yield Tensor(f"{layer}.out", "product", queries, (source("self_attn.o_proj.weight", hidden),))
    if config.post_norms:
        yield vector("attention_post_norm", source("post_attention_layernorm.weight", hidden))
        yield vector("mlp_post_norm", source("post_feedforward_layernorm.weight", hidden))
    yield vector("mlp_norm", source(f"{mlp_norm}.weight", hidden))
    yield Tensor(f"{layer}.gate_up", "product", hidden, (gate, up))
    yield Tensor(f"{layer}.down", "product", inner, (source("mlp.down_proj.weight", hidden),))


def in_pairs(values: Floats, heads: int) -> Floats:
    """Rows i and i + head_dim / 2 of each head become neighbours."""
    return values[pair_order(len(values), heads)]


def pair_order(rows: int, heads: int) -> NDArray[np.int64]:
    """Which row comes where, for `in_pairs`."""
    order: NDArray[np.int64] = np.arange(rows).reshape(heads, 2, rows // heads // 2).swapaxes(1, 2).ravel()
    return order
