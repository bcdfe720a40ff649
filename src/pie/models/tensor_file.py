"""What a file of weights, of whatever format, says about its tensors, and reading one of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from pie.core.errors import BadModel
from pie.models.numbers import Bytes, Floats, NumberFormat


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor inside a file, checked to lie within it. `shape` has the slowest dimension first."""

    path: Path
    name: str
    shape: tuple[int, ...]
    format: NumberFormat | None
    """None: a format we cannot read."""
    format_name: str
    offset: int
    size_bytes: int

    def read(self) -> Floats:
        """The whole tensor in fp32. Raises `BadModel` when the file has changed under us."""
        if self.format is None:
            raise BadModel(
                f"{self.path}: tensor {self.name!r} has type {self.format_name}, which is not supported"
            )
        return self.format.to_floats(self.read_bytes(), self.shape)

    def read_bytes(self) -> Bytes:
        """As they are stored. Raises `BadModel` when the file has changed under us."""
        data = np.fromfile(self.path, np.uint8, count=self.size_bytes, offset=self.offset)
        if data.size != self.size_bytes:
            raise BadModel(f"{self.path}: the file ends inside tensor {self.name!r}; pull the model again")
        return data


def find_overlap(entries: Iterable[TensorEntry]) -> str:
    """Two tensors that claim the same bytes, or nothing. (A small file could pass for a huge model.)"""
    placed = sorted((entry for entry in entries if entry.size_bytes), key=lambda entry: entry.offset)
    for first, second in pairwise(placed):
        if first.offset + first.size_bytes > second.offset:
            return f"tensors {first.name[:80]!r} and {second.name[:80]!r} overlap"
    return ""
