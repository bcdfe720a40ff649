"""All segments of a pass through the model, as one flat batch."""

import numpy as np
import torch

from pie.inference.attention import Attention
from pie.inference.columns import Columns
from pie.inference.llama import Llama
from pie.inference.lora import Lora
from pie.inference.rotary import Rotary
from pie.inference.storage import EmbStorage, PageStorage
from pie.inference.visibility import View, look


class Forward:
    def __init__(
        self,
        model: Llama,
        rotary: Rotary,
        attention: Attention,
        pages: PageStorage,
        embs: EmbStorage,
        lora: Lora,
    ) -> None:
        self._model = model
        self._rotary = rotary
        self._attention = attention
        self._pages = pages
        self._embs = embs
        self._lora = lora

    def run(self, work: Columns) -> None:
        """Hidden states to their slots; keys and values to their targets, last, when nothing can fail."""
        if not len(work.inputs):
            return
        positions = self._embs.positions[work.inputs]
        view = look(work, positions, self._pages)
        self._attention.begin(view)
        hidden = self._model.hidden(
            self._embs.read(work.inputs),
            self._rotary.turns(positions),
            self._attention,
            self._lora.batch(work),
        )
        self._keep_outputs(work, hidden, view)
        self._keep_tokens(work, view)

    def _keep_outputs(self, work: Columns, hidden: torch.Tensor, view: View) -> None:
        indices, slots = work.outputs.T.copy()
        self._embs.write(slots, hidden.index_select(0, torch.from_numpy(indices)), view.positions[indices])

    def _keep_tokens(self, work: Columns, view: View) -> None:
        stored = np.flatnonzero(work.targets >= 0)
        targets, places = work.targets[stored], view.places[stored]
        late = targets != places
        if late.any():
            self._pages.copy_slots(places[late], targets[late])
        self._pages.positions[targets] = view.positions[stored]
