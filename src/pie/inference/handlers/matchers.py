"""Distributions among the tokens that a matcher allows."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.core.passes import FaultKind, RowFault
from pie.inference.columns import Columns
from pie.inference.device import Array
from pie.inference.handlers.distribution import distributions
from pie.inference.handlers.sample import Matchers
from pie.inference.measures import IMPOSSIBLE
from pie.inference.model import Model
from pie.inference.storage import EmbStorage

Rows = NDArray[np.int64]


def masked_distributions(
    work: Columns, model: Model, embs: EmbStorage, matchers: Matchers, faults: list[RowFault]
) -> dict[str, Any]:
    """`distributions`, where those with a matcher hold no other tokens; `faults` gets who failed alone.

    Raises `NotFinite`.
    """
    restricted = np.flatnonzero(work.dist_matchers >= 0)
    if not len(restricted):
        return distributions(work, model, embs)

    def restrict(first: int, logits: Array) -> None:
        rows = restricted[(restricted >= first) & (restricted < first + logits.shape[1])]
        if len(rows):
            bits, failed = matchers.masks(work.dist_matchers[rows].tolist())
            model.allow_only(logits, rows - first, bits)
            faults.extend(RowFault(FaultKind.DIST, int(rows[row]), why) for row, why in failed.items())

    return only_possible(distributions(work, model, embs, restrict), restricted)


def only_possible(columns: dict[str, Any], restricted: Rows) -> dict[str, Any]:
    """Without the tokens of probability 0 that fill up the rows of those that are restricted."""
    starts = np.asarray(columns["top_starts"])
    tokens, probs = np.asarray(columns["top_tokens"]), np.asarray(columns["top_probs"])
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    kept = (probs > 0) | ~np.isin(owners, restricted)
    counts = np.bincount(owners[kept], minlength=len(starts) - 1)
    return {
        **columns,
        "top_tokens": array("i", tokens[kept].tobytes()),
        "top_probs": array("f", probs[kept].tobytes()),
        "top_starts": array("i", (0, *np.cumsum(counts).tolist())),
        "chosen_logprobs": impossible_ones(columns["chosen_logprobs"]),
    }


def impossible_ones(logprobs: Sequence[float]) -> "array[float]":
    """Tokens that are not allowed have the logarithm of 0."""
    values = np.array(logprobs, np.float32)
    values[values < IMPOSSIBLE / 2] = -np.inf
    return array("f", values.tobytes())
