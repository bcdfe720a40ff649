"""What a model's tensors become in prepared weights: one form for each way to compute products."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pie.inference.layout import Floats, Parts, Source, Tensor, pair_order
from pie.inference.packing import (
    Number,
    brain,
    group4,
    interleaved,
    pack4,
    pack8,
    pack_wide,
    packed_size,
    padded,
)
from pie.models import Groups, Weights
from pie.models.groups import stacked

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors of a model's files, fused and ordered as this model wants them."""

    weights: Weights

    def floats(self, tensor: Tensor) -> Floats:
        """[rows, columns]"""
        return np.concatenate([self._rows(source).reshape(-1, tensor.columns) for source in tensor.sources])

    def groups(self, tensor: Tensor) -> Groups | None:
        """The same, not rounded, where the files hold all of it in 4-bit groups."""
        if not all(self.weights.is_grouped(source.name) for source in tensor.sources):
            return None
        return stacked([self._groups(source) for source in tensor.sources])

    def _rows(self, source: Source) -> Floats:
        values = self.weights.read(source.name)
        return values[pair_order(len(values), source.heads)] if source.heads else values

    def _groups(self, source: Source) -> Groups:
        groups = self.weights.read_groups(source.name)
        return groups.rows(pair_order(len(groups.numbers), source.heads)) if source.heads else groups


class Form(Protocol):
    """`name` tells files apart."""

    @property
    def name(self) -> str: ...

    def parts(self, tensor: Tensor) -> Parts:
        """Nothing for a tensor that this form does not keep."""
        ...

    def arrays(self, tensor: Tensor, checkpoint: Checkpoint) -> Arrays:
        """What `parts` promises."""
        ...


def plain_parts(tensor: Tensor) -> Parts:
    return {tensor.name: ((tensor.rows, tensor.columns), "<f4")}


def plain_arrays(tensor: Tensor, checkpoint: Checkpoint) -> Arrays:
    return {tensor.name: checkpoint.floats(tensor)}


def is_plain(tensor: Tensor) -> bool:
    """Norms and the embedding are fp32 in every form."""
    return tensor.kind in ("vector", "embedding")


@dataclass(frozen=True, slots=True)
class FullForm:
    """fp32. A tied head is the embedding's own memory."""

    tied: bool
    name: str = "fp32"

    def parts(self, tensor: Tensor) -> Parts:
        return {} if self.tied and tensor.kind == "head" else plain_parts(tensor)

    def arrays(self, tensor: Tensor, checkpoint: Checkpoint) -> Arrays:
        return plain_arrays(tensor, checkpoint)


@dataclass(frozen=True, slots=True)
class BrainForm:
    """bf16 products, rounded to nearest even."""

    name: str = "bf16"

    def parts(self, tensor: Tensor) -> Parts:
        if is_plain(tensor):
            return plain_parts(tensor)
        return {tensor.name: ((tensor.rows, tensor.columns), "<i2")}

    def arrays(self, tensor: Tensor, checkpoint: Checkpoint) -> Arrays:
        if is_plain(tensor):
            return plain_arrays(tensor, checkpoint)
        return {tensor.name: brain(checkpoint.floats(tensor)).view(np.int16)}


@dataclass(frozen=True, slots=True)
class RowForm:
    """int8 with one scale a row, for oneDNN."""

    name: str = "int8-rows"

    def parts(self, tensor: Tensor) -> Parts:
        if is_plain(tensor):
            return plain_parts(tensor)
        numbers, scales = tensor.name, tensor.name + ".scales"
        return {numbers: ((tensor.rows, tensor.columns), "|i1"), scales: ((tensor.rows,), "<f4")}

    def arrays(self, tensor: Tensor, checkpoint: Checkpoint) -> Arrays:
        if is_plain(tensor):
            return plain_arrays(tensor, checkpoint)
        values = checkpoint.floats(tensor)
        scales = np.maximum(np.abs(values).max(1) / np.float32(127), np.float32(1e-30))
        numbers = np.rint(values / scales[:, None]).astype(np.int8)
        return {tensor.name: numbers, tensor.name + ".scales": scales}


Bits = Literal[4, 8, 16, 32]
MANY = ".many"
"""Of the second layout's name."""


@dataclass(frozen=True, slots=True)
class PackedForm:
    """For the compiled kernels: 4 bits in groups, 8 bits in turned rows, 16 or 32 bits as they are, or the
    layers' products in both of two, the second for passes with many inputs. The head never has 4 bits.

    4-bit groups of the checkpoint are taken as they are; anything else is rounded to nearest.
    """

    layouts: tuple[Bits, ...]

    @property
    def name(self) -> str:
        return "-".join(("packed", *map(str, self.layouts)))

    @property
    def head_bits(self) -> Bits:
        first = self.layouts[0]
        return 8 if first == 4 else first

    def parts(self, tensor: Tensor) -> Parts:
        if is_plain(tensor):
            return plain_parts(tensor)
        rows = 2 * padded(tensor.rows // 2) if is_interleaved(tensor) else tensor.rows
        named = self._named(tensor).items()
        return {name: ((packed_size(rows, tensor.columns, bits),), "|u1") for name, bits in named}

    def arrays(self, tensor: Tensor, checkpoint: Checkpoint) -> Arrays:
        if is_plain(tensor):
            return plain_arrays(tensor, checkpoint)
        named = self._named(tensor).items()
        return {name: packed(tensor, checkpoint, bits) for name, bits in named}

    def _named(self, tensor: Tensor) -> dict[str, Bits]:
        """What a tensor becomes: bits by name."""
        if tensor.kind == "head":
            return {tensor.name: self.head_bits}
        return {tensor.name + MANY * turn: bits for turn, bits in enumerate(self.layouts)}


def packed(tensor: Tensor, checkpoint: Checkpoint, bits: Bits) -> NDArray[np.uint8]:
    if bits == 4:
        return packed4(tensor, checkpoint)
    values = ordered(tensor, checkpoint.floats(tensor))
    return pack8(values) if bits == 8 else pack_wide(values, bits)


def packed4(tensor: Tensor, checkpoint: Checkpoint) -> NDArray[np.uint8]:
    groups = checkpoint.groups(tensor) or group4(checkpoint.floats(tensor))
    scales, least = ordered(tensor, groups.scales), ordered(tensor, groups.least)
    return pack4(Groups(ordered(tensor, groups.numbers), scales, least))


def is_interleaved(tensor: Tensor) -> bool:
    """Gate and up go in turns, so that their product is known where they are computed."""
    return tensor.name.endswith("gate_up")


def ordered(tensor: Tensor, values: NDArray[Number]) -> NDArray[Number]:
    if not is_interleaved(tensor):
        return values
    order = interleaved(len(values) // 2)
    result = values[order]
    result[order < 0] = 0
    return result
