"""Packed weights, and one product by itself: for passes in which something is added between the products."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.inference.forms import MANY, PackedForm
from pie.inference.kernels import library
from pie.inference.kernels.library import Kernels, address
from pie.inference.packing import padded
from pie.inference.weights import LlamaWeights, llama_weights
from pie.models import ModelConfig

Floats = NDArray[np.float32]


class PackedMatrix:
    """Packed weights, as the kernels take them."""

    def __init__(self, data: NDArray[np.uint8], rows: int, columns: int, bits: int, turns: int = 1) -> None:
        """`turns`: so many matrices of `rows` / `turns` rows each, 32 of each in turn."""
        self.data = data
        self._rows = rows
        self._turns = turns
        total = turns * padded(rows // turns) if turns > 1 else padded(rows)
        self.struct = library.Product(address(data), total, padded(columns), bits, 0)

    def in_order(self, out: Floats) -> Floats:
        if self._turns == 1:
            return out[:, : self._rows]
        each = self._rows // self._turns
        apart = out.reshape(len(out), -1, self._turns, 32).swapaxes(1, 2).reshape(len(out), self._turns, -1)
        return apart[:, :, :each].reshape(len(out), -1)


class PackedProduct:
    """`few` and `many`: the same weights in two layouts, or in one twice; `from_many`: inputs from which on
    the second is taken."""

    def __init__(
        self, kernels: Kernels, few: PackedMatrix, many: PackedMatrix | None = None, from_many: int = 1
    ) -> None:
        self._kernels = kernels
        self.few = few
        self.many = many or few
        self.from_many = from_many

    def __call__(self, inputs: Floats) -> Floats:
        """[inputs, in] to [inputs, out]"""
        matrix = self.many if len(inputs) >= self.from_many else self.few
        wide = np.zeros((len(inputs), matrix.struct.columns), np.float32)  # the kernel changes it
        wide[:, : inputs.shape[1]] = inputs
        out = np.empty((len(wide), matrix.struct.rows), np.float32)
        self._kernels.multiply(matrix.struct, self._kernels.threads, address(wide), len(wide), address(out))
        return matrix.in_order(out)

    @property
    def bytes(self) -> int:
        """That few inputs read of its weights."""
        return self.few.data.nbytes


def widened(rows: Floats, width: int) -> Floats:
    """Contiguous, filled up with zeros to `width`; itself where it is so already."""
    if rows.shape[1] == width:
        return np.ascontiguousarray(rows)
    wide = np.zeros((len(rows), width), np.float32)
    wide[:, : rows.shape[1]] = rows
    return wide


def packed_weights(
    kernels: Kernels, tensors: Mapping[str, NDArray[Any]], config: ModelConfig, form: PackedForm, many: int
) -> LlamaWeights:
    """From the tensors of that form. `many`: inputs from which on the second layout is taken."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, both = config.heads * config.head_dim, (config.heads + 2 * config.kv_heads) * config.head_dim
    shapes = {
        "qkv": (both, hidden, 1), "out": (hidden, queries, 1), "down": (hidden, inner, 1),
        "gate_up": (2 * inner, hidden, 2),
    }  # fmt: skip

    def product(name: str) -> PackedProduct:
        if name == "head":
            return PackedProduct(
                kernels, PackedMatrix(tensors[name], config.vocabulary_size, hidden, form.head_bits)
            )
        rows, columns, turns = shapes[name.partition(".")[2]]
        few, *others = (
            PackedMatrix(tensors[name + MANY * turn], rows, columns, bits, turns)
            for turn, bits in enumerate(form.layouts)
        )
        return PackedProduct(kernels, few, others[0] if others else None, many)

    return llama_weights(tensors, config, product)
