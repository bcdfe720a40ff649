"""Decoding as CUDA graphs: all launches of a pass's layers become one; no GPU waits for Python.

A graph works on fixed memory and a fixed number of inputs. So there is one for each size in `SIZES`, captured
when it is first needed; a pass takes the next larger one and fills it up with inputs that see nothing and
keep their keys and values in scratch slots. Passes with longer segments, adapters or watched attention, and
those that see more than the buffers hold, run as without graphs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from pie.inference.attention import Attention
from pie.inference.device import Device
from pie.inference.llama import Llama
from pie.inference.lora import BatchLora
from pie.inference.storage import PageStorage
from pie.inference.triton_attention import Plan, Tiles, TritonAttention, row_table
from pie.inference.triton_kernel import ENTRIES
from pie.inference.visibility import Rows, View
from pie.inference.weights import LlamaWeights
from pie.models import ModelConfig

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
MOST_SLOTS = 1 << 22
"""That all inputs of a graph see together, at most: 16 MiB of row numbers."""


@dataclass(frozen=True, slots=True)
class Captured:
    """`replay` does again what was captured; its result is then in `out`."""

    replay: Callable[[], object]
    out: torch.Tensor


Run = Callable[[torch.Tensor, torch.Tensor, Attention], torch.Tensor]
"""A model's `hidden`, without adapters."""
Capture = Callable[[Callable[[], torch.Tensor]], Captured]


class CudaCapture:
    """A `Capture` on the current GPU; all graphs share one pool of memory, as only one runs at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], torch.Tensor]) -> Captured:
        self._warm_up(run)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            out = run()
        return Captured(graph.replay, out)

    def _warm_up(self, run: Callable[[], torch.Tensor]) -> None:
        """Compiles kernels and sets up libraries, which must not happen while a graph is captured."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run()
        torch.cuda.current_stream().wait_stream(stream)


def size_for(inputs: int) -> int | None:
    """The smallest graph that takes so many; None: none does."""
    return next((size for size in SIZES if size >= inputs), None)


class StaticTiles:
    """`Tiles` of one input each, in memory that stays where it is."""

    def __init__(self, size: int, slots: int, device: Device) -> None:
        table = device.zeros(size, ENTRIES, dtype=np.int32)
        rows = device.zeros(slots, dtype=np.int32)
        self.tiles = Tiles(table, rows, device.zeros(1, dtype=np.uint8), masked=False)

    def fill(self, rows: Rows, pages: PageStorage) -> None:
        """What is left of the table are tiles without inputs."""
        table = np.zeros(tuple(self.tiles.table.shape), np.int32)
        table[: len(rows.inputs)] = row_table(rows)
        self.tiles.table.copy_(torch.from_numpy(table))
        self.tiles.rows[: len(rows.slots)] = pages.device.sent(pages.rows(rows.slots))


class DecodeGraph:
    """One size."""

    def __init__(
        self, run: Run, config: ModelConfig, pages: PageStorage, size: int, exact: bool, capture: Capture
    ) -> None:
        device, kinds = pages.device, 1 if config.window_rope_theta is None else 2
        self._pages = pages
        self._places = pages.scratch_slot + np.arange(size, dtype=np.int32)
        self._rows = pages.row_index(self._places)
        self._seen, self._windowed = (StaticTiles(size, slots_of(size, config), device) for _ in range(2))
        self._inputs = device.zeros(size, config.hidden_size)
        self._turns = device.zeros(kinds, size, 1, config.head_dim // 2, dtype=np.complex64)
        attention = TritonAttention(pages, config.heads, exact)
        attention.hold(Plan(self._rows, [self._seen.tiles], [self._windowed.tiles]))
        self._captured = capture(lambda: run(self._inputs, self._turns, attention))

    def run(self, inputs: torch.Tensor, turns: torch.Tensor, view: View) -> torch.Tensor:
        """[inputs, hidden], good until the next call of any graph."""
        count = len(inputs)
        places = np.concatenate((view.places, self._places[count:]))
        self._rows.copy_(self._pages.row_index(places))
        self._seen.fill(view.rows, self._pages)
        self._windowed.fill((view.windowed or view).rows, self._pages)
        self._inputs[:count] = inputs
        self._turns[:, :count] = turns
        self._captured.replay()
        return self._captured.out[:count]


def slots_of(size: int, config: ModelConfig) -> int:
    """That the inputs of a graph may see together."""
    return min(size * config.context_length, MOST_SLOTS)


class GraphedLlama(Llama):
    def __init__(
        self,
        config: ModelConfig,
        weights: LlamaWeights,
        pages: PageStorage,
        exact: bool,
        capture: Capture | None = None,
    ) -> None:
        super().__init__(config, weights)
        self._pages = pages
        self._exact = exact
        self._capture = capture or CudaCapture()
        self._graphs: dict[int, DecodeGraph] = {}

    def hidden(
        self,
        inputs: torch.Tensor,
        turns: torch.Tensor,
        attention: Attention,
        lora: BatchLora | None = None,
    ) -> torch.Tensor:
        view = attention.view if isinstance(attention, TritonAttention) else None
        size = size_for(len(inputs))
        if lora is not None or view is None or size is None or not self._fits(view, size):
            return super().hidden(inputs, turns, attention, lora)
        return self._graph(size).run(inputs, turns, view)

    def _fits(self, view: View, size: int) -> bool:
        return not view.blocks and len(view.rows.slots) <= slots_of(size, self.config)

    def _graph(self, size: int) -> DecodeGraph:
        if size not in self._graphs:
            run: Run = partial(Llama.hidden, self)
            self._graphs[size] = DecodeGraph(run, self.config, self._pages, size, self._exact, self._capture)
        return self._graphs[size]
