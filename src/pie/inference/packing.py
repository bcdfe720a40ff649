"""Weights for the compiled kernels; `kernels/products.h`, `rows.h` and `wide.h` say how they lie.

Four bits hold w = scale * q + least with q from 0 to 15, in groups of 32; scale and least value are fp16.
Eight bits hold w H = scale * q with q from -127 to 127, one fp32 scale a row; H turns 64 columns at a time
(32 where columns are no multiple of it) by Sylvester's Hadamard matrix. Thirty-two bits are fp32 as it is,
sixteen bits bf16, rounded to nearest even; 32 rows go together, column by column. Rows and columns are filled
up to multiples of 32 with zeros.
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
TURNED = 64
LEVELS = 15
MOST = 127


def padded(count: int) -> int:
    return -(-count // GROUP) * GROUP


def packed_size(rows: int, columns: int, bits: int) -> int:
    """Bytes."""
    if bits >= 16:
        return padded(rows) * padded(columns) * bits // 8
    if bits == 8:
        return padded(rows) * (padded(columns) + 4)
    return padded(rows) * (padded(columns) // GROUP) * (GROUP // 2 + 4)


@dataclass(frozen=True, slots=True)
class Packed:
    """What a packed matrix says: for tests and for the reference."""

    rows: int
    columns: int
    bits: int
    data: Bytes

    def floats(self) -> Floats:
        """[padded rows, padded columns]"""
        return {4: unpack4, 8: unpack8, 16: unpack_wide, 32: unpack_wide}[self.bits](self)


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
    turned = turn(fill(values))
    rows, columns = turned.shape
    scales = (np.abs(turned).max(1) / np.float32(MOST)).astype(np.float32)
    q = rounded(turned, scales[:, None], -MOST, MOST) + 128
    blocks = q.astype(np.uint8).reshape(rows // LANES, LANES, columns // 4, 4)
    numbers = blocks.transpose(0, 2, 1, 3).reshape(rows // LANES, -1)
    return joined(numbers, scales.reshape(rows // LANES, LANES))


def pack_wide(values: Floats, bits: int) -> Bytes:
    full = fill(values).reshape(-1, GROUP, padded(values.shape[1])).transpose(0, 2, 1)
    numbers = np.ascontiguousarray(full if bits == 32 else brain(full))
    return numbers.view(np.uint8).ravel()


def brain(values: Floats) -> NDArray[np.uint16]:
    """bf16, rounded to nearest even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def turn(values: Floats) -> Floats:
    """[rows, columns] times H, which is its own inverse: outliers are spread over their neighbours."""
    rows, columns = values.shape
    size = TURNED if columns % TURNED == 0 else GROUP
    turned: Floats = np.matmul(values.reshape(rows, -1, size), hadamard(size)).reshape(rows, columns)
    return turned


def hadamard(size: int) -> Floats:
    """Sylvester's matrix, orthogonal. `size` is a power of two."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    found: Floats = (matrix / np.sqrt(np.float32(size))).astype(np.float32)
    return found


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
    rows, columns = padded(packed.rows), padded(packed.columns)
    numbers, kept = parted(packed, columns * LANES // 2)
    blocks = numbers.reshape(rows // LANES, columns // GROUP, 4, LANES, 4).transpose(0, 3, 1, 2, 4)
    q = np.stack((blocks & 15, blocks >> 4), axis=3).reshape(rows, -1, GROUP)
    scales = kept.view(np.float16).astype(np.float32)
    pairs = scales.reshape(rows // LANES, -1, 2, LANES).transpose(2, 0, 3, 1).reshape(2, rows, -1)
    values: Floats = q * pairs[0][:, :, None] + pairs[1][:, :, None]
    return values.reshape(rows, -1)


def unpack8(packed: Packed) -> Floats:
    rows, columns = padded(packed.rows), padded(packed.columns)
    numbers, kept = parted(packed, columns * LANES)
    blocks = numbers.reshape(rows // LANES, columns // 4, LANES, 4).transpose(0, 2, 1, 3)
    q = blocks.reshape(rows, columns).astype(np.float32) - 128
    return turn(q * kept.view(np.float32).reshape(rows, 1))


def unpack_wide(packed: Packed) -> Floats:
    if packed.bits == 32:
        numbers = packed.data.view(np.float32)
    else:
        numbers = (packed.data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    blocks = numbers.reshape(-1, padded(packed.columns), GROUP)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(padded(packed.rows), -1)


def parted(packed: Packed, width: int) -> tuple[Bytes, Bytes]:
    """Numbers and scales of each 16 rows; `width`: bytes of the numbers."""
    blocks = packed.data.reshape(padded(packed.rows) // LANES, -1)
    return blocks[:, :width], np.ascontiguousarray(blocks[:, width:])
