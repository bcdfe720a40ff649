"""What a file of weights, of whatever format, says about its tensors, and reading one of them."""

from dataclasses import dataclass
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
