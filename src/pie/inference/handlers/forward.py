"""All segments of a pass through the model, as one flat batch."""

from typing import Any

import numpy as np

from pie.inference.attention import Attention
from pie.inference.columns import Columns, Ints
from pie.inference.device import Array
from pie.inference.model import Adapters, Model
from pie.inference.rotary import Rotary
from pie.inference.storage import EmbStorage, PageStorage
from pie.inference.torch_parts import torch_part
from pie.inference.visibility import Look, View, look
from pie.inference.window import with_window


class Forward:
    def __init__(
        self,
        model: Model,
        rotary: Rotary,
        attention: Attention,
        pages: PageStorage,
        embs: EmbStorage,
        lora: Adapters | None = None,
        look: Look = look,
    ) -> None:
        self._model = model
        self._rotary = rotary
        self._attention = attention
        self._pages = pages
        self._embs = embs
        self._lora = lora
        self._look = look

    def run(self, work: Columns) -> dict[str, Any]:
        """Hidden states to their slots; keys and values to their targets, last, when nothing can fail.

        Returns the column of `PassResult` that a forward fills.
        """
        if not len(work.inputs):
            return {}
        positions = self._embs.positions[work.inputs]
        stats = self._watch(work, positions)
        attention = stats or self._attention
        view = with_window(self._look(work, positions, self._pages), self._pages, self._model.config.window)
        attention.begin(view)
        hidden = self._model.hidden(
            self._embs.read(work.inputs),
            self._embs.device.sent(self._rotary.turns(positions)),
            attention,
            self._lora.batch(work) if self._lora else None,
        )
        self._keep_outputs(work, hidden, view)
        self._keep_tokens(work, view)
        return {"attention": stats.shares()} if stats else {}

    def _watch(self, work: Columns, positions: Ints) -> Any:
        if not len(work.watched):
            return None
        config, stats = self._model.config, torch_part("handlers.attention_stats").AttentionStats
        return stats(work, positions, self._pages, config.heads, self._attention, config.window)

    def _keep_outputs(self, work: Columns, hidden: Array, view: View) -> None:
        indices, slots = work.outputs[:, 0], work.outputs[:, 1]
        if not np.array_equal(indices, np.arange(len(hidden))):
            hidden = hidden[self._embs.device.sent(indices.copy())]
        self._embs.write(slots, hidden, view.positions[indices])

    def _keep_tokens(self, work: Columns, view: View) -> None:
        stored = np.flatnonzero(work.targets >= 0)
        targets, places = work.targets[stored], view.places[stored]
        late = targets != places
        if late.any():
            self._pages.copy_slots(places[late], targets[late])
        self._pages.positions[targets] = view.positions[stored]
