"""4-bit tensors as they are stored: groups of 32 with a scale and a smallest value, nothing rounded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pie.models.numbers import Bytes, Floats, half, nibbles
from pie.models.tensor_file import TensorEntry

SIZE = 32
"""Numbers in a group."""


@dataclass(frozen=True, slots=True)
class Groups:
    """w = scales * numbers + least. `numbers` [rows, columns], 0 to 15; the others [rows, columns / 32]."""

    numbers: Bytes
    scales: Floats
    least: Floats

    def rows(self, order: NDArray[np.int64]) -> "Groups":
        return Groups(self.numbers[order], self.scales[order], self.least[order])


def groups_of_q4_0(blocks: Bytes) -> tuple[Bytes, Floats, Floats]:
    scales = half(blocks, 0)
    return nibbles(blocks[:, 2:]), scales, scales * np.float32(-8)


def groups_of_q4_1(blocks: Bytes) -> tuple[Bytes, Floats, Floats]:
    return nibbles(blocks[:, 4:]), half(blocks, 0), half(blocks, 2)


GROUPED: Mapping[str, Callable[[Bytes], tuple[Bytes, Floats, Floats]]] = {
    "Q4_0": groups_of_q4_0,
    "Q4_1": groups_of_q4_1,
}
"""Formats whose scales and smallest values fp16 holds exactly."""


def is_grouped(entry: TensorEntry) -> bool:
    return entry.format is not None and entry.format.name in GROUPED


def read_groups(entry: TensorEntry) -> Groups:
    """Of an entry that `is_grouped`. Raises `BadModel` when the file has changed under us."""
    if entry.format is None:
        raise ValueError(f"{entry.name} is not in groups")
    blocks = entry.read_bytes().reshape(-1, entry.format.size_bytes)
    numbers, scales, least = GROUPED[entry.format.name](blocks)
    rows = entry.shape[0]
    return Groups(numbers.reshape(entry.shape), scales.reshape(rows, -1), least.reshape(rows, -1))


def stacked(parts: list[Groups]) -> Groups:
    """One below the other."""
    return Groups(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate([part.least for part in parts]),
    )
