"""The heap that programs start with.

The allocator serves small requests from holes, which lie all over the memory that imports have used, and
each page that a program touches first must be copied for it. So the holes are filled before the snapshot is
taken: programs then allocate from the untouched end of the heap, where neighbours share pages.
"""

import gc
from typing import Any

SIZES = (65536, 16384, 4096, 1024, 512, 256, 192, 128, 96, 64, 48, 32, 16, 8, 2)
PROBE_BYTES = 8 << 20


def fill_holes() -> list[Any]:
    """Keeps what it returns alive for ever: that is the filling."""
    gc.collect()
    end = id(bytes(PROBE_BYTES))
    return [piece for size in SIZES for piece in _fill(size, end)]


def _fill(size: int, end: int) -> list[bytes]:
    """Pieces of one size, until one of them lies behind what was the heap's end."""
    pieces: list[bytes] = []
    while not pieces or id(pieces[-1]) < end:
        pieces.append(bytes(size))
    return pieces
