"""A pass as numpy sees it: the same columns, without copying them."""

from dataclasses import dataclass

import numpy as np

from pie.core.passes import Pass
from pie.inference.storage import Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """The forward part of a pass. Row i of ragged `x` is `x[x_starts[i] : x_starts[i + 1]]`."""

    inputs: Ints
    input_starts: Ints
    targets: Ints
    read_pages: Ints
    read_starts: Ints
    masked: Ints
    mask_runs: Ints
    mask_starts: Ints

    @property
    def segments(self) -> int:
        return len(self.input_starts) - 1


def column(values: object) -> Ints:
    return np.asarray(values, np.int32)


def rows(values: object, width: int) -> Ints:
    return column(values).reshape(-1, width)


def batch(work: Pass) -> Batch:
    return Batch(
        inputs=column(work.inputs),
        input_starts=column(work.input_starts),
        targets=column(work.targets),
        read_pages=column(work.read_pages),
        read_starts=column(work.read_starts),
        masked=column(work.masked),
        mask_runs=column(work.mask_runs),
        mask_starts=column(work.mask_starts),
    )
