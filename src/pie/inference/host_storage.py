"""Where pages of suspended programs wait: host memory, a place a page."""

import torch

from pie.inference.columns import Bools, Ints
from pie.inference.storage import PageStorage


class HostStorage:
    """Whole pages by place: keys, values, positions and what can be seen. Takes memory as it is used."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[torch.Tensor, Ints, Bools]] = {}

    def take(self, place: int, pages: PageStorage, page: int) -> None:
        """What `page` holds now is kept at `place`."""
        slots = slice(page * pages.page_size, (page + 1) * pages.page_size)
        kept = pages.cells[page].to("cpu", copy=True)
        self._kept[place] = kept, pages.positions[slots].copy(), pages.visible[slots].copy()

    def give(self, place: int, pages: PageStorage, page: int) -> None:
        """`page` becomes what is kept at `place`, which is empty then. Raises `LookupError` if nothing is."""
        slots = slice(page * pages.page_size, (page + 1) * pages.page_size)
        cells, positions, visible = self._kept.pop(place)
        pages.cells[page] = cells
        pages.positions[slots] = positions
        pages.visible[slots] = visible
