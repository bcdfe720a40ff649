"""Logits of only those tokens that a mask allows. In plain torch."""

import numpy as np
import torch
from numpy.typing import NDArray

from pie.inference.devices import sent

IMPOSSIBLE = -1e30
"""The logit of a token that is not allowed: finite, and its probability is exactly 0."""


def allow_only(logits: torch.Tensor, columns: NDArray[np.int64], bits: NDArray[np.uint8]) -> None:
    """Leaves the tokens of the mask's rows (token t: bit t % 8 of byte t // 8) in those columns of
    [vocabulary, rows], in place: a copy of the logits would cost more than the model's share of a token."""
    forbidden = np.unpackbits(~bits, axis=1, count=len(logits), bitorder="little").view(np.bool_)
    which = sent(columns, logits.device)
    logits[:, which] = logits[:, which].masked_fill(sent(forbidden, logits.device).t(), IMPOSSIBLE)
