"""GGUF's "K" formats: super-blocks of 256 numbers, in parts with scales that are themselves quantised.

Layouts as in the GGUF format's description of Q4_K, Q5_K and Q6_K. Every decoder takes bytes of shape
(blocks, size_bytes) and gives floats of shape (blocks, 256).
"""

import numpy as np

from pie.models.numbers import Bytes, Floats, NumberFormat, half

SIZE = 256
PARTS = 8
"""Parts of 32 numbers, each with its scale and its minimum (Q4_K, Q5_K)."""


def decode_q4_k(blocks: Bytes) -> Floats:
    """Scale and minimum of the block (4 bytes), of its parts (12), 4 bits a number (128)."""
    return scaled(blocks, quarters(blocks[:, 16:144]))


def decode_q5_k(blocks: Bytes) -> Floats:
    """As Q4_K, with the fifth bits (32 bytes; part i in bit i) before the others."""
    fifth = bits(blocks[:, 16:48], range(PARTS), 1)
    return scaled(blocks, quarters(blocks[:, 48:176]) | fifth * np.uint8(16))


def decode_q6_k(blocks: Bytes) -> Floats:
    """Low four bits (128 bytes), high two bits (64), 16 signed scales (16), scale of the block (2)."""
    count = len(blocks)
    low = blocks[:, :128].reshape(count, 2, 1, 64)
    low = np.concatenate((low & 0x0F, low >> 4), axis=2).reshape(count, 2, 4, 32)
    high = blocks[:, 128:192].reshape(count, 2, 32)
    high = np.stack([high >> shift & 3 for shift in (0, 2, 4, 6)], axis=2)
    numbers = (low | high << 4).astype(np.float32).reshape(count, 16, 16) - 32
    scales = half(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    return (numbers * scales[:, :, None]).reshape(count, SIZE)


def quarters(packed: Bytes) -> Bytes:
    """(blocks, 128) bytes as (blocks, 8, 32) four-bit numbers: of each 32 bytes low halves, then high."""
    rows = packed.reshape(-1, PARTS // 2, 1, 32)
    return np.concatenate((rows & 0x0F, rows >> 4), axis=2).reshape(-1, PARTS, 32)


def bits(packed: Bytes, shifts: range, mask: int) -> Bytes:
    """(blocks, 32) bytes as (blocks, len(shifts), 32) numbers, one from each shift."""
    return np.stack([packed >> shift & mask for shift in shifts], axis=1)


def scaled(blocks: Bytes, numbers: Bytes) -> Floats:
    """scale * number - minimum, part by part; `numbers` is (blocks, 8, 32)."""
    scales, minimums = part_scales(blocks[:, 4:16])
    factor = half(blocks, 0) * scales
    offset = half(blocks, 2) * minimums
    return (factor[:, :, None] * numbers.astype(np.float32) - offset[:, :, None]).reshape(-1, SIZE)


def part_scales(packed: Bytes) -> tuple[Floats, Floats]:
    """Eight scales and eight minimums of 6 bits each, out of 12 bytes: the first four of both stand in bytes
    0 to 7, whose two high bits belong to the last four."""
    low, middle, last = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate((low & 0x3F, last & 0x0F | low >> 6 << 4), axis=1)
    minimums = np.concatenate((middle & 0x3F, last >> 4 | middle >> 6 << 4), axis=1)
    return scales.astype(np.float32), minimums.astype(np.float32)


Q4_K = NumberFormat("Q4_K", SIZE, 144, decode_q4_k)
Q5_K = NumberFormat("Q5_K", SIZE, 176, decode_q5_k)
Q6_K = NumberFormat("Q6_K", SIZE, 210, decode_q6_k)
