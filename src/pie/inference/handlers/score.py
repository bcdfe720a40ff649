"""Exact log-probabilities of given tokens, over the whole vocabulary."""

from array import array
from typing import Any

import numpy as np
import torch

from pie.inference.columns import Columns
from pie.inference.devices import fetched, sent
from pie.inference.handlers.distribution import AT_ONCE, Scores, refuse_infinite
from pie.inference.llama import Llama
from pie.inference.storage import EmbStorage


def score_tokens(work: Columns, model: Llama, embs: EmbStorage) -> dict[str, Any]:
    """The column of `PassResult` that they fill. Raises `NotFinite`."""
    if not len(work.score_slots):
        return {}
    found = np.empty(len(work.score_slots), np.float32)
    for first in range(0, len(found), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        scores = Scores(model, model.logits(embs.read(work.score_slots[rows])))
        targets = sent(work.score_targets[rows], embs.device).long()
        every = torch.arange(scores.count, device=embs.device)
        found[rows], entropies = fetched(scores.logprobs(targets, every), scores.entropies)
        refuse_infinite(entropies)
    return {"score_logprobs": array("f", found.tobytes())}
