"""The heap that programs start with.

The allocator serves small requests from holes, which lie all over the memory that imports have used, and
each page that a program touches first must be copied for it. So the holes are filled before the snapshot is
taken: programs then allocate from the untouched end of the heap, where neighbours share pages.
"""

import gc
from typing import Any

SIZES = (65536, 16384, 4096, 1024, 512, 256, 192, 128, 96, 64, 48, 32, 24, 16, 8, 0)
PROBE_BYTES = 8 << 20
BEYOND_BYTES = 1 << 16
"""The allocator does not take the first hole: a size is through when so much in a row lay behind them all."""
MOST_PIECES = 1 << 18


def fill_holes() -> list[Any]:
    """Keeps what it returns alive for ever: that is the filling."""
    gc.collect()
    pieces: list[Any] = [None] * MOST_PIECES  # a list that grows would make holes
    end = id(bytes(PROBE_BYTES))
    count = 0
    for size in SIZES:
        beyond = 0
        while beyond <= BEYOND_BYTES and count < MOST_PIECES:
            piece = pieces[count] = bytes(size) if size else object()
            beyond = beyond + size + 32 if id(piece) > end else 0
            count += 1
    return pieces
