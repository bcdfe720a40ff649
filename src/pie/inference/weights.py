"""A model's weights, layer by layer: of numpy for the compiled kernels, of torch for anything else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pie.inference.device import Array
from pie.models import ModelConfig

Product = Any
"""What multiplies by weights: one class for each form of them."""
PRODUCTS = ("qkv", "out", "gate_up", "down")
FAMILY = ("qkv_bias", "q_norm", "k_norm", "attention_post_norm", "mlp_post_norm")
"""Vectors that not every family has."""


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """`qkv`, `gate_up`: fused by rows, queries and keys in rotary pairs. Norms are [hidden, 1].

    What only some families have: a bias of `qkv` ([rows, 1]), norms of single heads (`q_norm`, with what its
    scores are scaled by beyond attention's own scale, and `k_norm`: [head_dim, 1]), and norms of what
    attention and MLP add.
    """

    attention_norm: Array
    qkv: Product
    out: Product
    mlp_norm: Array
    gate_up: Product
    down: Product
    qkv_bias: Array | None = None
    q_norm: Array | None = None
    k_norm: Array | None = None
    attention_post_norm: Array | None = None
    mlp_post_norm: Array | None = None


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    embedding: Array
    """[vocabulary, hidden]"""
    layers: list[LayerWeights]
    norm: Array
    head: Product
    """hidden to vocabulary"""


def llama_weights(
    tensors: Mapping[str, Array], config: ModelConfig, product: Callable[[str], Product]
) -> LlamaWeights:
    """From tensors by name. `product` makes those of products, as `0.qkv`, and of the `head`."""
    layers = [layer_weights(tensors, config, index, product) for index in range(config.layers)]
    return LlamaWeights(tensors["embedding"], layers, tensors["norm"], product("head"))


def layer_weights(
    tensors: Mapping[str, Array], config: ModelConfig, index: int, product: Callable[[str], Product]
) -> LayerWeights:
    return LayerWeights(
        attention_norm=tensors[f"{index}.attention_norm"],
        mlp_norm=tensors[f"{index}.mlp_norm"],
        **{name: product(f"{index}.{name}") for name in PRODUCTS},
        **family_vectors(config, tensors, index),
    )


def family_vectors(config: ModelConfig, tensors: Mapping[str, Array], layer: int) -> dict[str, Any]:
    """The fields of `LayerWeights` that not every family has."""
    found = {name: tensors.get(f"{layer}.{name}") for name in FAMILY}
    if config.query_scale is not None and found["q_norm"] is not None:
        found["q_norm"] = found["q_norm"] * (config.query_scale * config.head_dim**0.5)
    return found
