"""Number formats of stored tensors, and how each becomes fp32.

Quantised formats come in blocks: `elements` numbers in `size_bytes` bytes, with their own scale. All
values are little-endian. Checked bit for bit against the `gguf` package in the tests; that package is
not used here because its import alone costs more time than a warm start may take.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """`decode` turns bytes of shape (blocks, size_bytes) into floats of shape (blocks, elements)."""

    name: str
    elements: int
    size_bytes: int
    decode: Callable[[Bytes], Floats]

    def byte_count(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of `shape`. Raises `ValueError` where rows are not whole blocks."""
        row = shape[-1] if shape else 1
        if row % self.elements:
            raise ValueError(f"rows of {row} numbers are not whole blocks of {self.elements}")
        count = 1
        for size in shape:
            count *= size
        return count // self.elements * self.size_bytes

    def to_floats(self, data: Bytes, shape: tuple[int, ...]) -> Floats:
        return self.decode(data.reshape(-1, self.size_bytes)).reshape(shape)


def decode_f32(blocks: Bytes) -> Floats:
    return blocks.view("<f4").astype(np.float32, copy=False)


def decode_f16(blocks: Bytes) -> Floats:
    return blocks.view("<f2").astype(np.float32)


def decode_bf16(blocks: Bytes) -> Floats:
    return (blocks.view("<u2").astype(np.uint32) << 16).view(np.float32)


def half(blocks: Bytes, start: int) -> Floats:
    """The fp16 number at byte `start` of each block, as a column."""
    return np.ascontiguousarray(blocks[:, start : start + 2]).view("<f2").astype(np.float32)


def nibbles(packed: Bytes) -> Bytes:
    """The low halves of all bytes of a block, then the high halves."""
    return np.concatenate((packed & 0x0F, packed >> 4), axis=1)


def decode_q8_0(blocks: Bytes) -> Floats:
    return half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def decode_q4_0(blocks: Bytes) -> Floats:
    return half(blocks, 0) * (nibbles(blocks[:, 2:]).astype(np.float32) - 8)


def decode_q4_1(blocks: Bytes) -> Floats:
    return half(blocks, 0) * nibbles(blocks[:, 4:]).astype(np.float32) + half(blocks, 2)


def decode_q5_0(blocks: Bytes) -> Floats:
    numbers = nibbles(blocks[:, 6:]) | fifth_bits(blocks[:, 2:6]) << 4
    return half(blocks, 0) * (numbers.astype(np.float32) - 16)


def decode_q5_1(blocks: Bytes) -> Floats:
    numbers = nibbles(blocks[:, 8:]) | fifth_bits(blocks[:, 4:8]) << 4
    return half(blocks, 0) * numbers.astype(np.float32) + half(blocks, 2)


def fifth_bits(packed: Bytes) -> Bytes:
    """32 bits a block, one for each number."""
    return np.unpackbits(packed, axis=1, bitorder="little")


F32 = NumberFormat("F32", 1, 4, decode_f32)
F16 = NumberFormat("F16", 1, 2, decode_f16)
BF16 = NumberFormat("BF16", 1, 2, decode_bf16)
Q8_0 = NumberFormat("Q8_0", 32, 34, decode_q8_0)
Q4_0 = NumberFormat("Q4_0", 32, 18, decode_q4_0)
Q4_1 = NumberFormat("Q4_1", 32, 20, decode_q4_1)
Q5_0 = NumberFormat("Q5_0", 32, 22, decode_q5_0)
Q5_1 = NumberFormat("Q5_1", 32, 24, decode_q5_1)
