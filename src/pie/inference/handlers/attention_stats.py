"""Where attention goes: the share that each page of a segment gets, measured while the pass runs.

The weights are worked out once more, from the queries and keys that the model's own attention was given, in
plain torch: exact, and no burden for passes in which nobody asks.
"""

from array import array
from dataclasses import dataclass

import numpy as np
import torch

from pie.inference.attention import Attention
from pie.inference.by_parts import for_tensors
from pie.inference.columns import Bools, Columns, Ints
from pie.inference.device import Array
from pie.inference.devices import fetched, tensor_on
from pie.inference.storage import PageStorage
from pie.inference.visibility import View

AT_ONCE = 64
"""Inputs whose weights are held together."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A segment whose attention is measured: inputs `first` to `last` of the pass."""

    first: int
    last: int
    rows: Array
    """Storage rows of the cached tokens that somebody sees."""
    owners: torch.Tensor
    """For each of those and each input: which number of the answer it counts for."""
    hidden: torch.Tensor
    """[inputs, cached + inputs], true where it is not seen."""
    outside: torch.Tensor
    """The same in layers with a sliding window."""
    totals: torch.Tensor
    """[pages + 1]: the sum so far, over layers, heads and inputs."""


class AttentionStats:
    """An `Attention` in front of another one; made for a pass in which somebody asks."""

    def __init__(
        self,
        work: Columns,
        positions: Ints,
        pages: PageStorage,
        heads: int,
        inner: Attention,
        window: int = 0,
    ) -> None:
        self._pages = pages
        self._heads = heads
        self._inner = for_tensors(inner)
        self._watched = [watch(work, segment, positions, pages, window) for segment in work.watched.tolist()]
        self._keys = torch.empty(0)

    def begin(self, view: View) -> None:
        self._inner.begin(view)

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._keys = keys
        self._inner.store(layer, keys, values)

    def attend(self, layer: int, queries: torch.Tensor, windowed: bool = False) -> torch.Tensor:
        for watched in self._watched:
            self._measure(layer, watched, queries, watched.outside if windowed else watched.hidden)
        seen: torch.Tensor = self._inner.attend(layer, queries, windowed)
        return seen

    def shares(self) -> "array[float]":
        """For each watched segment: one number for each page, then one for its inputs; their sum is 1."""
        shares = fetched(*(watched.totals / watched.totals.sum() for watched in self._watched))
        return array("f", np.concatenate(shares).tolist())

    def _measure(self, layer: int, watched: Watched, queries: torch.Tensor, hidden: torch.Tensor) -> None:
        pages, first, last = self._pages, watched.first, watched.last
        cached = torch.as_tensor(pages.read_keys(layer, watched.rows))
        own = self._keys[first:last].reshape(last - first, pages.kv_heads, pages.head_dim)
        keys = torch.cat((cached, own)).permute(1, 2, 0)
        for start in range(first, last, AT_ONCE):
            stop = min(start + AT_ONCE, last)
            query = queries[start:stop].reshape(stop - start, pages.kv_heads, -1, pages.head_dim)
            scores = query.permute(1, 2, 0, 3).flatten(1, 2) @ keys * pages.head_dim**-0.5
            scores = scores.view(self._heads, stop - start, -1)
            scores.masked_fill_(hidden[start - first : stop - first], -torch.inf)
            weights = scores.softmax(-1).sum((0, 1), dtype=torch.float64)
            watched.totals.index_add_(0, watched.owners, weights)


def watch(work: Columns, segment: int, positions: Ints, pages: PageStorage, window: int) -> Watched:
    first, last = (int(i) for i in work.input_starts[segment : segment + 2])
    device = pages.device
    read = work.read_pages[slice(*work.read_starts[segment : segment + 2])]
    slots = pages.slots(read).ravel()
    own = positions[first:last]
    there: Bools = (pages.positions[slots] >= 0) & pages.visible[slots]
    slots, owners = slots[there], np.repeat(np.arange(len(read)), pages.page_size)[there]
    times = np.concatenate((pages.positions[slots], own))
    hidden: Bools = times[None, :] > own[:, None]
    outside: Bools = hidden | (times[None, :] <= own[:, None] - window) if window else hidden
    return Watched(
        first,
        last,
        pages.row_index(slots),
        tensor_on(device, np.concatenate((owners, np.full(len(own), len(read)))).astype(np.int64)),
        tensor_on(device, hidden),
        tensor_on(device, outside),
        tensor_on(device, np.zeros(len(read) + 1)),
    )
