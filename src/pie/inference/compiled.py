"""The model on the compiled kernels: the same attention for every precision, and all layers of a pass in one
call where the weights are packed."""

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from pie.inference.attention import Attention
from pie.inference.forms import MANY, SmallForm
from pie.inference.kernels import library
from pie.inference.kernels.library import Kernels, address
from pie.inference.llama import LayerWeights, Llama, LlamaWeights, family_vectors
from pie.inference.lora import BatchLora
from pie.inference.measures import Measures
from pie.inference.packing import padded
from pie.inference.restrict import IMPOSSIBLE
from pie.inference.storage import PageStorage
from pie.inference.visibility import View
from pie.models import ModelConfig

MOST_HEAD_DIM = 256
NAMES = ("qkv", "out", "gate_up", "down")
MANY_INPUTS = 8
"""Inputs from which on a pass takes rows of 8 bits rather than groups of 4: more to read, less to compute."""
ACTIVATIONS = ("silu", "gelu_tanh")


class CompiledView:
    """What a pass's inputs see, as the kernels want it. Keeps alive what it points to."""

    def __init__(self, view: View, pages: PageStorage) -> None:
        places, slots = pages.rows(view.places), pages.rows(view.rows.slots)
        inputs = np.ascontiguousarray(view.rows.inputs, np.int32)
        starts = np.ascontiguousarray(view.rows.starts, np.int64)
        lists = [pages.rows(block.slots) for block in view.blocks]
        masks = [np.ascontiguousarray(block.mask) for block in view.blocks]
        blocks = (library.Block * len(lists))(
            *(
                library.Block(block.first, block.last, len(rows), 0, address(rows), address(mask))
                for block, rows, mask in zip(view.blocks, lists, masks, strict=True)
            )
        )
        self._alive: Sequence[object] = (places, slots, inputs, starts, lists, masks, blocks)
        self.struct = library.View(
            len(places), len(inputs), len(lists), 0,
            address(places), address(inputs), address(slots), address(starts), blocks,
        )  # fmt: skip


class CompiledAttention(Attention):
    """Walks the pages where they lie; nothing is gathered."""

    def __init__(self, kernels: Kernels, pages: PageStorage, heads: int) -> None:
        self._kernels = kernels
        self._pages = pages
        self._scale = pages.head_dim**-0.5
        self._heads = library.Heads(heads, pages.kv_heads, pages.head_dim)
        self._cells = cells_of(pages)
        self._places = torch.empty(0, dtype=torch.int64)
        self.view: CompiledView | None = None
        self.windowed: CompiledView | None = None
        """What windowed layers see, where that is not the same."""

    def begin(self, view: View) -> None:
        self.view = CompiledView(view, self._pages)
        self.windowed = CompiledView(view.windowed, self._pages) if view.windowed else None
        self._places = torch.from_numpy(self._pages.rows(view.places)).long()

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._pages.write(layer, self._places, keys, values)

    def attend(self, layer: int, queries: torch.Tensor, windowed: bool = False) -> torch.Tensor:
        view = (self.windowed if windowed else None) or self.view
        if view is None:
            raise RuntimeError("attend before begin")
        scaled = queries * self._scale
        out = torch.empty_like(scaled)
        self._kernels.attend(
            self._heads, self._cells, view.struct, layer, self._kernels.threads,
            scaled.data_ptr(), out.data_ptr(),
        )  # fmt: skip
        return out


def cells_of(pages: PageStorage) -> library.Pages:
    numbers = ("fp32", "int8").index(pages.precision)
    return library.Pages(pages.cells.data_ptr(), pages.page_size, pages.kv_heads, pages.head_dim, numbers)


class SmallProduct:
    """One product by itself, for passes in which something is added between the products.

    `few` and `many`: the same weights in two layouts, or in one twice; `from_many`: inputs from which on the
    second is taken.
    """

    def __init__(
        self, kernels: Kernels, few: "SmallMatrix", many: "SmallMatrix | None" = None, from_many: int = 1
    ) -> None:
        self._kernels = kernels
        self.few = few
        self.many = many or few
        self.from_many = from_many

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        matrix = self.many if x.shape[1] >= self.from_many else self.few
        tokens = torch.zeros(x.shape[1], matrix.struct.columns)
        tokens[:, : x.shape[0]] = x.t()
        out = torch.empty(len(tokens), matrix.struct.rows)
        threads = self._kernels.threads
        self._kernels.multiply(matrix.struct, threads, tokens.data_ptr(), len(tokens), out.data_ptr())
        return matrix.in_order(out).t()

    def add(self, x: torch.Tensor, to: torch.Tensor) -> None:
        to.add_(self(x))

    @property
    def bytes(self) -> int:
        """That few inputs read of its weights."""
        return self.few.data.numel()


class SmallMatrix:
    """Packed weights, as the kernels take them."""

    def __init__(self, data: torch.Tensor, rows: int, columns: int, bits: int, turns: int = 1) -> None:
        """`turns`: so many matrices of `rows` / `turns` rows each, 32 of each in turn."""
        self.data = data
        self._rows = rows
        self._turns = turns
        total = turns * padded(rows // turns) if turns > 1 else padded(rows)
        self.struct = library.Product(data.data_ptr(), total, padded(columns), bits, 0)

    def in_order(self, out: torch.Tensor) -> torch.Tensor:
        if self._turns == 1:
            return out[:, : self._rows]
        each = self._rows // self._turns
        apart = out.view(len(out), -1, self._turns, 32).transpose(1, 2).reshape(len(out), self._turns, -1)
        return apart[:, :, :each].reshape(len(out), -1)


def small_weights(
    kernels: Kernels, tensors: Mapping[str, torch.Tensor], config: ModelConfig, form: SmallForm, many: int
) -> LlamaWeights:
    """From the tensors of that form. `many`: inputs from which on the second layout is taken."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, both = config.heads * config.head_dim, (config.heads + 2 * config.kv_heads) * config.head_dim
    shapes = {
        "qkv": (both, hidden, 1), "out": (hidden, queries, 1), "down": (hidden, inner, 1),
        "gate_up": (2 * inner, hidden, 2),
    }  # fmt: skip

    def product(index: int, name: str) -> SmallProduct:
        rows, columns, turns = shapes[name]
        few, *others = (
            SmallMatrix(tensors[f"{index}.{name}{MANY * turn}"], rows, columns, bits, turns)
            for turn, bits in enumerate(form.layouts)
        )
        return SmallProduct(kernels, few, others[0] if others else None, many)

    def layer(index: int) -> LayerWeights:
        return LayerWeights(
            attention_norm=tensors[f"{index}.attention_norm"],
            qkv=product(index, "qkv"),
            out=product(index, "out"),
            mlp_norm=tensors[f"{index}.mlp_norm"],
            gate_up=product(index, "gate_up"),
            down=product(index, "down"),
            **family_vectors(config, tensors, index),
        )

    return LlamaWeights(
        embedding=tensors["embedding"],
        layers=[layer(index) for index in range(config.layers)],
        norm=tensors["norm"],
        head=SmallProduct(kernels, SmallMatrix(tensors["head"], config.vocabulary_size, hidden, 8)),
    )


class CompiledLlama(Llama):
    """All layers in one call. With LoRA, product by product as in `Llama`."""

    def __init__(
        self, config: ModelConfig, weights: LlamaWeights, kernels: Kernels, pages: PageStorage
    ) -> None:
        super().__init__(config, weights)
        self._kernels = kernels
        self._wide = padded(config.hidden_size)
        self._logits = torch.empty(0, padded(config.vocabulary_size))
        self._alive = pages, *struct_of(config, weights, kernels.threads)
        self._handle = kernels.open(ctypes.byref(self._alive[1]), ctypes.byref(cells_of(pages)))
        weakref.finalize(self, kernels.close, self._handle)

    def hidden(
        self, inputs: torch.Tensor, turns: torch.Tensor, attention: Attention, lora: BatchLora | None = None
    ) -> torch.Tensor:
        if lora is not None or not isinstance(attention, CompiledAttention) or attention.view is None:
            return super().hidden(inputs, turns, attention, lora)
        hidden = self._widened(inputs)
        if hidden is inputs:
            hidden = inputs.clone()
        pairs = torch.view_as_real(turns).contiguous()
        view, windowed = attention.view.struct, (attention.windowed or attention.view).struct
        self._kernels.run(self._handle, view, windowed, hidden.data_ptr(), pairs.data_ptr())
        return hidden[:, : self.config.hidden_size]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        wide, size = self._widened(hidden), padded(self.config.vocabulary_size)
        # Fresh memory for so many numbers would cost the system as much as their product costs us.
        if len(self._logits) < len(wide):
            self._logits = torch.empty(len(wide), size)
        out = self._logits[: len(wide)]
        self._kernels.logits(self._handle, wide.data_ptr(), len(wide), out.data_ptr())
        return out[:, : self.config.vocabulary_size].t()

    def best(self, hidden: torch.Tensor) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        wide = self._widened(hidden)
        found = np.empty((len(wide), 3), np.float32)
        self._kernels.best(
            self._handle, wide.data_ptr(), len(wide), self.config.vocabulary_size, address(found)
        )
        return found.view(np.int32)[:, 0], found[:, 2]

    def measure(self, logits: torch.Tensor) -> Measures:
        rows = logits.t()
        if not len(rows) or rows.stride(1) != 1:
            return super().measure(logits)
        found = torch.empty(len(rows), 4)
        self._kernels.statistics(
            rows.data_ptr(), *rows.shape, rows.stride(0), self._kernels.threads, found.data_ptr()
        )
        _, best, log_totals, entropies = found.unbind(1)
        return Measures(found.view(torch.int32)[:, 0].long(), best, log_totals, entropies)

    def allow_only(self, logits: torch.Tensor, columns: NDArray[np.int64], bits: NDArray[np.uint8]) -> None:
        rows, masks, which = logits.t(), np.ascontiguousarray(bits), np.ascontiguousarray(columns, np.int64)
        if rows.stride(1) == 1:
            self._kernels.allow_only(
                rows.data_ptr(), rows.shape[1], rows.stride(0), self._kernels.threads,
                address(which), len(which), address(masks), masks.shape[1], IMPOSSIBLE,
            )  # fmt: skip
        else:
            super().allow_only(logits, columns, bits)

    def top_tokens(self, logits: torch.Tensor, count: int) -> torch.Tensor:
        rows = logits.t()
        if not len(rows) or rows.stride(1) != 1:
            return super().top_tokens(logits, count)
        found = torch.empty(len(rows), count, dtype=torch.int32)
        self._kernels.top(
            rows.data_ptr(), *rows.shape, rows.stride(0), self._kernels.threads, count, found.data_ptr()
        )
        return found.long()

    def times(self) -> tuple[float, float, float]:
        """Seconds spent in products, in attention and in everything else, since the start."""
        found = (ctypes.c_double * 3)()
        self._kernels.times(self._handle, found)
        products, attention, rest = found
        return products, attention, rest

    def _widened(self, hidden: torch.Tensor) -> torch.Tensor:
        """Contiguous, filled up with zeros; itself where it is so already."""
        if self._wide == hidden.shape[1]:
            return hidden.contiguous()
        wide = torch.zeros(len(hidden), self._wide)
        wide[:, : hidden.shape[1]] = hidden
        return wide


def struct_of(
    config: ModelConfig, weights: LlamaWeights, threads: int
) -> tuple[library.Model, Sequence[object]]:
    """The model's struct, and what must live as long."""
    alive: list[object] = [weights]

    def small(product: object) -> SmallProduct:
        if not isinstance(product, SmallProduct):
            raise TypeError("only packed weights can run in one call")
        return product

    def norm(vector: torch.Tensor | None) -> int | None:
        if vector is None:
            return None
        alive.append(wide := pad(vector.view(-1), (0, padded(vector.numel()) - vector.numel())).contiguous())
        return wide.data_ptr()

    def layer(index: int, one: LayerWeights) -> library.Layer:
        windowed = config.is_windowed(index)
        return library.Layer(
            norm(one.attention_norm), norm(one.mlp_norm),
            library.Products(*(small(getattr(one, name)).few.struct for name in NAMES)),
            library.Products(*(small(getattr(one, name)).many.struct for name in NAMES)),
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
