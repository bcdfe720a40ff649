"""Exact log-probabilities of given tokens, over the whole vocabulary."""

from array import array
from typing import Any

import numpy as np
import torch

from pie.inference.columns import Columns
from pie.inference.handlers.distribution import AT_ONCE, Scores
from pie.inference.llama import Llama
from pie.inference.storage import EmbStorage


def score_tokens(work: Columns, model: Llama, embs: EmbStorage) -> dict[str, Any]:
    """The column of `PassResult` that they fill. Raises `NotFinite`."""
    found = np.empty(len(work.score_slots), np.float32)
    for first in range(0, len(found), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        scores = Scores(model, model.logits(embs.read(work.score_slots[rows])))
        targets = torch.from_numpy(work.score_targets[rows]).long()
        found[rows] = scores.logprobs(targets, torch.arange(scores.count)).numpy()
    return {"score_logprobs": array("f", found.tobytes())}
