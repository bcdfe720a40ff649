"""Attention over paged keys and values, in Triton.

One program of the grid works on one tile and one head of keys: a few inputs that see (parts of) one list of
storage rows, with all query heads that share the keys folded below each other, as `lines`. It walks the list
with a running softmax (Milakov and Gimelshein 2018; Dao et al. 2022), so that no scores are ever stored.
Rows of the list that follow each other in a page lie together in memory.
"""

from dataclasses import dataclass

import triton
import triton.language as tl

ENTRIES = 6
"""Of a tile in the table: its first input and their count; where its list of rows starts and how long it is;
where its mask starts (bytes) and how many bytes a line of the mask has."""
LEAST = 16
"""Of each side of a product in Triton."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the kernel's matrices are. They fit 99 KiB, the shared memory of any GPU since Ampere."""

    group: int
    head_dim: int

    @property
    def dim(self) -> int:
        return max(LEAST, next_power(self.head_dim))

    @property
    def slots(self) -> int:
        return 32 if self.dim <= 128 else LEAST

    @property
    def row_lines(self) -> int:
        return max(LEAST, next_power(self.group))

    @property
    def block_lines(self) -> int:
        return max(self.row_lines, LEAST, min(64, 4096 // self.dim))

    @property
    def block_inputs(self) -> int:
        """Inputs in a tile of a block."""
        return self.block_lines // self.group


def next_power(count: int) -> int:
    return 1 << (count - 1).bit_length()


@triton.jit
def attend_tiles(
    out,  # [inputs, kv_heads * GROUP * HEAD_DIM], contiguous
    queries,  # the same shape, `query_stride` numbers from input to input
    keys,  # [storage rows, KV_HEADS, HEAD_DIM], contiguous
    values,
    table,  # int32 [tiles, ENTRIES]
    rows,  # int32, the lists
    bits,  # uint8, the masks: bit i of a line says whether row i of the list is seen
    query_stride,
    scale,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,  # query heads to a head of keys
    HEAD_DIM: tl.constexpr,
    LINES: tl.constexpr,  # at least 16, power of two; the inputs of a tile times GROUP fit
    DIM: tl.constexpr,  # at least 16, power of two; HEAD_DIM fits
    SLOTS: tl.constexpr,  # rows taken at once; at least 16, power of two
    MASKED: tl.constexpr,
    PRECISION: tl.constexpr,  # of products: "ieee" or "tf32"
):
    head = tl.program_id(1)
    entry = table + tl.program_id(0) * 6
    first, count = tl.load(entry), tl.load(entry + 1)
    start, length = tl.load(entry + 2), tl.load(entry + 3)
    mask_start, mask_stride = tl.load(entry + 4), tl.load(entry + 5)

    line, dim, slot = tl.arange(0, LINES), tl.arange(0, DIM), tl.arange(0, SLOTS)
    member = line // GROUP
    there, wide = member < count, dim < HEAD_DIM
    cells = there[:, None] & wide[None, :]
    places = (head * GROUP + line % GROUP)[:, None] * HEAD_DIM + dim[None, :]
    inputs = (first + member).to(tl.int64)[:, None]
    query = tl.load(queries + inputs * query_stride + places, mask=cells, other=0.0) * scale

    best = tl.full([LINES], -1e30, tl.float32)
    total = tl.zeros([LINES], tl.float32)
    summed = tl.zeros([LINES, DIM], tl.float32)
    for begin in range(0, length, SLOTS):
        index = begin + slot
        inside = index < length
        row = tl.load(rows + start + index, mask=inside, other=0).to(tl.int64)
        cell = (row * KV_HEADS + head) * HEAD_DIM
        held = inside[:, None] & wide[None, :]
        key = tl.load(keys + cell[:, None] + dim[None, :], mask=held, other=0.0)
        seen = there[:, None] & inside[None, :]
        if MASKED:
            byte = bits + mask_start + member[:, None] * mask_stride + (index // 8)[None, :]
            seen = seen & (((tl.load(byte, mask=seen, other=0) >> (index % 8)[None, :]) & 1) != 0)
        scores = tl.where(seen, tl.dot(query, tl.trans(key), input_precision=PRECISION), -1e30)
        now = tl.maximum(best, tl.max(scores, 1))
        weights = tl.where(seen, tl.exp(scores - now[:, None]), 0.0)
        shrink = tl.exp(best - now)
        value = tl.load(values + cell[:, None] + dim[None, :], mask=held, other=0.0)
        summed = summed * shrink[:, None] + tl.dot(weights, value, input_precision=PRECISION)
        total = total * shrink + tl.sum(weights, 1)
        best = now
    result = summed / tl.where(total > 0.0, total, 1.0)[:, None]
    tl.store(out + inputs * (KV_HEADS * GROUP * HEAD_DIM) + places, result, mask=cells)
