"""Where pages of suspended programs wait: host memory and, behind it, disk; a place a page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.inference.columns import Bools, Ints
from pie.inference.disk_storage import DiskStorage
from pie.inference.storage import PageStorage

Kept = tuple[NDArray[Any], Ints, Bools]


class HostStorage:
    """Whole pages by place: keys, values, positions and what can be seen. Takes memory as it is used."""

    def __init__(self, host_pages: int, disk: DiskStorage | None = None) -> None:
        """Places from `host_pages` on lie on `disk`."""
        self._kept: dict[int, Kept] = {}
        self._host_pages = host_pages
        self._disk = disk

    def take(self, place: int, pages: PageStorage, page: int) -> None:
        """What `page` holds now is kept at `place`."""
        slots = slice(page * pages.page_size, (page + 1) * pages.page_size)
        kept = pages.take(page)
        found = kept, pages.positions[slots].copy(), pages.visible[slots].copy()
        if self._disk is None or place < self._host_pages:
            self._kept[place] = found
        else:
            self._disk.put(place - self._host_pages, packed_size(pages), packed(*found))

    def give(self, place: int, pages: PageStorage, page: int) -> None:
        """`page` becomes what is kept at `place`, which is empty then. Raises `LookupError` if nothing is,
        and `PageLost` where the disk has not kept it."""
        slots = slice(page * pages.page_size, (page + 1) * pages.page_size)
        if self._disk is None or place < self._host_pages:
            cells, positions, visible = self._kept.pop(place)
        else:
            data = self._disk.take(place - self._host_pages, packed_size(pages))
            cells, positions, visible = unpacked(data, pages)
        pages.put(page, cells)
        pages.positions[slots] = positions
        pages.visible[slots] = visible


def packed_size(pages: PageStorage) -> int:
    """Bytes of a page and of what is known about its tokens."""
    return pages.page_bytes + pages.page_size * (pages.positions.itemsize + pages.visible.itemsize)


def packed(cells: NDArray[Any], positions: Ints, visible: Bools) -> bytes:
    return b"".join((cells.data, positions.data, visible.data))


def unpacked(data: bytes, pages: PageStorage) -> Kept:
    """What `packed` was given."""
    size, first = pages.page_size, pages.page_bytes
    kind = np.float32 if pages.precision == "fp32" else np.int8
    cells = np.frombuffer(data, kind, first // kind().itemsize).reshape(pages.cells.shape[1:]).copy()
    positions = np.frombuffer(data, np.int32, size, first)
    visible = np.frombuffer(data, np.bool_, size, first + positions.nbytes)
    return cells, positions, visible
