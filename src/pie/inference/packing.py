"""Weights in groups of 32 for the compiled kernels; `kernels/products.h` says how they lie.

Four bits hold w = scale * q + least with q from 0 to 15, eight bits w = scale * q with q from -127 to 127;
scales and least values are fp16. Rows and columns are filled up to multiples of 32 with zeros.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pie.models import Groups
from pie.models.numbers import Bytes, Floats

Number = TypeVar("Number", bound=np.generic)
GROUP = 32
LANES = 16
LEVELS = 15
MOST = 127


def padded(count: int) -> int:
    return -(-count // GROUP) * GROUP


def packed_size(rows: int, columns: int, bits: int) -> int:
    """Bytes."""
    return padded(rows) * (padded(columns) // GROUP) * (bits * GROUP // 8 + (4 if bits == 4 else 2))


@dataclass(frozen=True, slots=True)
class Packed:
    """What a packed matrix says: for tests and for the reference."""

    rows: int
    columns: int
    bits: int
    data: Bytes

    def floats(self) -> Floats:
        """[padded rows, padded columns]"""
        return unpack4(self) if self.bits == 4 else unpack8(self)


def pack4(groups: Groups) -> Bytes:
    q = fill(groups.numbers)
    rows, columns = q.shape
    blocks = q.reshape(rows // LANES, LANES, columns // GROUP, 2, 4, 4)
    both = blocks[:, :, :, 0] | blocks[:, :, :, 1] << 4
    numbers = both.transpose(0, 2, 3, 1, 4).reshape(rows // LANES, -1)
    pairs = np.stack((fill_scales(groups.scales, q), fill_scales(groups.least, q)))
    scales = pairs.reshape(2, rows // LANES, LANES, -1).transpose(1, 3, 0, 2).reshape(rows // LANES, -1)
    return joined(numbers, scales)


def pack8(values: Floats) -> Bytes:
    full = fill(values)
    rows, columns = full.shape
    groups = full.reshape(rows, -1, GROUP)
    scales = (np.abs(groups).max(2) / np.float32(MOST)).astype(np.float16)
    q = rounded(groups, scales.astype(np.float32)[:, :, None], -MOST, MOST) + 128
    blocks = q.astype(np.uint8).reshape(rows // LANES, LANES, columns // GROUP, 8, 4)
    numbers = blocks.transpose(0, 2, 3, 1, 4).reshape(rows // LANES, -1)
    ordered = scales.reshape(rows // LANES, LANES, -1).transpose(0, 2, 1).reshape(rows // LANES, -1)
    return joined(numbers, ordered)


def group4(values: Floats) -> Groups:
    """Any numbers in groups of 16 levels between their smallest and largest: round to nearest."""
    full = fill_columns(values)
    groups = full.reshape(len(full), -1, GROUP)
    least = groups.min(2).astype(np.float16).astype(np.float32)
    scales = ((groups.max(2) - least) / np.float32(LEVELS)).astype(np.float16).astype(np.float32)
    q = rounded(groups - least[:, :, None], scales[:, :, None], 0, LEVELS)
    return Groups(q.astype(np.uint8).reshape(full.shape), scales, least)


def interleaved(rows: int) -> NDArray[np.int64]:
    """Two matrices of `rows` each, one below the other: where each row comes from when 32 of each go in turn
    (-1: filled up with zeros)."""
    half = np.full(padded(rows), -1, np.int64)
    half[:rows] = np.arange(rows)
    second = np.where(half >= 0, half + rows, -1)
    return np.stack((half.reshape(-1, GROUP), second.reshape(-1, GROUP)), axis=1).ravel()


def rounded(values: Floats, scales: Floats, low: int, high: int) -> NDArray[np.int32]:
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.where(scales > 0, values / scales, 0)
    return np.nan_to_num(np.rint(q)).clip(low, high).astype(np.int32)


def fill(values: NDArray[Number]) -> NDArray[Number]:
    rows, columns = values.shape
    return np.pad(values, ((0, padded(rows) - rows), (0, padded(columns) - columns)))


def fill_columns(values: Floats) -> Floats:
    return np.pad(values, ((0, 0), (0, padded(values.shape[1]) - values.shape[1])))


def fill_scales(values: Floats, numbers: NDArray[np.generic]) -> NDArray[np.float16]:
    rows, columns = len(numbers), numbers.shape[1] // GROUP
    wide = np.pad(values, ((0, rows - len(values)), (0, columns - values.shape[1])))
    return wide.astype(np.float16)


def joined(numbers: NDArray[np.generic], scales: NDArray[np.generic]) -> Bytes:
    parts = (np.ascontiguousarray(part).view(np.uint8) for part in (numbers, scales))
    return np.concatenate(tuple(parts), axis=1).ravel()


def unpack4(packed: Packed) -> Floats:
    rows, columns, numbers, scales = parted(packed)
    blocks = numbers.reshape(rows // LANES, columns // GROUP, 4, LANES, 4).transpose(0, 3, 1, 2, 4)
    q = np.stack((blocks & 15, blocks >> 4), axis=3).reshape(rows, -1, GROUP)
    pairs = scales.reshape(rows // LANES, -1, 2, LANES).transpose(2, 0, 3, 1).reshape(2, rows, -1)
    return joined_groups(q * pairs[0][:, :, None] + pairs[1][:, :, None])


def unpack8(packed: Packed) -> Floats:
    rows, columns, numbers, scales = parted(packed)
    blocks = numbers.reshape(rows // LANES, columns // GROUP, 8, LANES, 4).transpose(0, 3, 1, 2, 4)
    q = blocks.reshape(rows, -1, GROUP).astype(np.float32) - 128
    ordered = scales.reshape(rows // LANES, -1, LANES).transpose(0, 2, 1).reshape(rows, -1)
    return joined_groups(q * ordered[:, :, None])


def joined_groups(values: Floats) -> Floats:
    return values.reshape(len(values), -1)


def parted(packed: Packed) -> tuple[int, int, Bytes, Floats]:
    rows, columns = padded(packed.rows), padded(packed.columns)
    blocks = packed.data.reshape(rows // LANES, -1)
    width = columns * LANES * packed.bits // 8
    scales = np.ascontiguousarray(blocks[:, width:]).view(np.float16).astype(np.float32)
    return rows, columns, blocks[:, :width], scales
