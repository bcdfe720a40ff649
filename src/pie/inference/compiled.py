"""The model on the compiled kernels, in numpy: all layers of a pass in one call."""

import ctypes
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.inference.attention import Attention
from pie.inference.columns import Ints
from pie.inference.compiled_attention import CompiledAttention, cells_of
from pie.inference.kernels import library
from pie.inference.kernels.library import Kernels, address
from pie.inference.measures import IMPOSSIBLE, Measures
from pie.inference.packed_product import Floats, PackedProduct, widened
from pie.inference.packing import padded
from pie.inference.storage import PageStorage
from pie.inference.torch_parts import torch_part
from pie.inference.weights import PRODUCTS, LayerWeights, LlamaWeights
from pie.models import ModelConfig

MOST_HEAD_DIM = 256
MANY_INPUTS = 8
"""Inputs from which on a pass takes rows of 8 bits rather than groups of 4: more to read, less to compute."""
ACTIVATIONS = ("silu", "gelu_tanh")


class CompiledLlama:
    """A `Model`. With LoRA, or where attention is watched, product by product, with torch between them."""

    def __init__(
        self, config: ModelConfig, weights: LlamaWeights, kernels: Kernels, pages: PageStorage
    ) -> None:
        self.config = config
        self.weights = weights
        self._kernels = kernels
        self._wide = padded(config.hidden_size)
        self._logits = np.empty((0, padded(config.vocabulary_size)), np.float32)
        self._alive = pages, *struct_of(config, weights, kernels.threads)
        self._handle = kernels.open(ctypes.byref(self._alive[1]), ctypes.byref(cells_of(pages)))
        weakref.finalize(self, kernels.close, self._handle)

    def embed(self, tokens: Ints) -> Floats:
        vectors: Floats = self.weights.embedding[tokens]
        vectors *= np.float32(self.config.embedding_scale)
        return vectors

    def hidden(self, inputs: Floats, turns: NDArray[Any], attention: Attention, lora: Any = None) -> Floats:
        if lora is not None or not isinstance(attention, CompiledAttention):
            found: Floats = self._parts.hidden(inputs, turns, attention, lora)
            return found
        wide = widened(inputs, self._wide)
        hidden = wide.copy() if wide is inputs else wide
        turns = np.ascontiguousarray(turns)
        view, windowed = attention.view.struct, (attention.windowed or attention.view).struct
        self._kernels.run(self._handle, view, windowed, address(hidden), address(turns))
        return hidden[:, : self.config.hidden_size]

    @cached_property
    def _parts(self) -> Any:
        return torch_part("by_parts").ByParts(self.config, self.weights, self._kernels.threads)

    def logits(self, hidden: Floats) -> Floats:
        wide = widened(hidden, self._wide)
        # Fresh memory for so many numbers would cost the system as much as their product costs us.
        if len(self._logits) < len(wide):
            self._logits = np.empty((len(wide), padded(self.config.vocabulary_size)), np.float32)
        out = self._logits[: len(wide)]
        self._kernels.logits(self._handle, address(wide), len(wide), address(out))
        return out[:, : self.config.vocabulary_size].T

    def best(self, hidden: Floats) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        wide = widened(hidden, self._wide)
        found = np.empty((len(wide), 3), np.float32)
        self._kernels.best(
            self._handle, address(wide), len(wide), self.config.vocabulary_size, address(found)
        )
        return found.view(np.int32)[:, 0], found[:, 2]

    def measure(self, logits: Floats) -> Measures:
        rows = in_rows(logits)
        found = np.empty((len(rows), 4), np.float32)
        self._kernels.statistics(
            address(rows), *rows.shape, stride(rows), self._kernels.threads, address(found)
        )
        return Measures(found.view(np.int32)[:, 0], found[:, 1], found[:, 2], found[:, 3])

    def allow_only(self, logits: Floats, columns: NDArray[np.int64], bits: NDArray[np.uint8]) -> None:
        rows, masks, which = logits.T, np.ascontiguousarray(bits), np.ascontiguousarray(columns, np.int64)
        self._kernels.allow_only(
            address(rows), rows.shape[1], stride(rows), self._kernels.threads,
            address(which), len(which), address(masks), masks.shape[1], IMPOSSIBLE,
        )  # fmt: skip

    def top_tokens(self, logits: Floats, count: int) -> Ints:
        rows = in_rows(logits)
        found = np.empty((len(rows), count), np.int32)
        self._kernels.top(
            address(rows), *rows.shape, stride(rows), self._kernels.threads, count, address(found)
        )
        return found

    def times(self) -> tuple[float, float, float]:
        """Seconds spent in products, in attention and in everything else, since the start."""
        found = (ctypes.c_double * 3)()
        self._kernels.times(self._handle, found)
        products, attention, rest = found
        return products, attention, rest


def in_rows(logits: Floats) -> Floats:
    """[rows, vocabulary], the numbers of a row side by side, as the kernels want them; a copy where they are
    not so."""
    rows = logits.T
    return rows if rows.strides[1] == rows.itemsize else np.ascontiguousarray(rows)


def stride(rows: Floats) -> int:
    """Numbers from one row to the next."""
    return rows.strides[0] // rows.itemsize


def struct_of(
    config: ModelConfig, weights: LlamaWeights, threads: int
) -> tuple[library.Model, Sequence[object]]:
    """The model's struct, and what must live as long."""
    alive: list[object] = [weights]

    def small(product: object) -> PackedProduct:
        if not isinstance(product, PackedProduct):
            raise TypeError("only packed weights can run in one call")
        return product

    def norm(vector: Floats | None) -> int | None:
        if vector is None:
            return None
        alive.append(wide := widened(vector.reshape(1, -1), padded(vector.size)))
        return address(wide)

    def layer(index: int, one: LayerWeights) -> library.Layer:
        windowed = config.is_windowed(index)
        return library.Layer(
            norm(one.attention_norm), norm(one.mlp_norm),
            library.Products(*(small(getattr(one, name)).few.struct for name in PRODUCTS)),
            library.Products(*(small(getattr(one, name)).many.struct for name in PRODUCTS)),
            norm(one.qkv_bias), norm(one.q_norm), norm(one.k_norm),
            norm(one.attention_post_norm), norm(one.mlp_post_norm),
            windowed, windowed and config.window_rope_theta is not None,
        )  # fmt: skip

    layers = (library.Layer * config.layers)(*(layer(*item) for item in enumerate(weights.layers)))
    heads = library.Heads(config.heads, config.kv_heads, config.head_dim)
    model = library.Model(
        config.layers, config.hidden_size, padded(config.hidden_size), padded(config.intermediate_size),
        padded(config.heads * config.head_dim), threads, heads, config.norm_eps,
        layers, norm(weights.norm), small(weights.head).few.struct,
        ACTIVATIONS.index(config.activation), small(weights.layers[0].qkv).from_many,
    )  # fmt: skip
    return model, (layers, *alive)
