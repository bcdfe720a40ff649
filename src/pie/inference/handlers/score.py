"""Exact log-probabilities of given tokens, over the whole vocabulary."""

from array import array
from typing import Any

import numpy as np

from pie.inference.columns import Columns
from pie.inference.handlers.distribution import AT_ONCE, Scores, refuse_infinite
from pie.inference.model import Model
from pie.inference.storage import EmbStorage


def score_tokens(work: Columns, model: Model, embs: EmbStorage) -> dict[str, Any]:
    """The column of `PassResult` that they fill. Raises `NotFinite`."""
    if not len(work.score_slots):
        return {}
    device, found = embs.device, np.empty(len(work.score_slots), np.float32)
    for first in range(0, len(found), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        scores = Scores(model, model.logits(embs.read(work.score_slots[rows])))
        targets = work.score_targets[rows].astype(np.int64)
        logprobs = scores.logprobs(device.sent(targets), device.sent(np.arange(scores.count)))
        found[rows], entropies = device.fetched(logprobs, scores.entropies)
        refuse_infinite(entropies)
    return {"score_logprobs": array("f", found.tobytes())}
