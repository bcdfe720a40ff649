"""`visibility.look` for passes that decode, as most do, in one call of the compiled kernels."""

import numpy as np

from pie.inference.columns import Columns, Ints
from pie.inference.kernels import library
from pie.inference.kernels.library import Kernels, address
from pie.inference.storage import PageStorage
from pie.inference.visibility import Rows, View, look


class CompiledSight:
    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels

    def look(self, batch: Columns, positions: Ints, pages: PageStorage) -> View:
        """`positions` are those of the batch's inputs."""
        if not decodes(batch):
            return look(batch, positions, pages)
        count = len(positions)
        places, starts = np.empty(count, np.int32), np.empty(count + 1, np.int64)
        slots = np.empty(len(batch.read_pages) * pages.page_size + count, np.int32)
        known = library.Known(
            pages.page_size, count, pages.scratch_slot, 0, address(pages.positions), address(pages.visible),
            address(positions), address(batch.targets), address(batch.read_pages), address(batch.read_starts),
        )  # fmt: skip
        self._kernels.look(known, address(places), address(slots), address(starts))
        rows = Rows(np.arange(count, dtype=np.int32), slots[: starts[-1]], starts)
        return View(places, positions, rows, [])


def decodes(batch: Columns) -> bool:
    """Whether all segments are of one input and without a mask."""
    if len(batch.masked) or batch.segments != len(batch.inputs):
        return False
    starts = batch.input_starts
    return not (starts[1:] == starts[:-1]).any()
