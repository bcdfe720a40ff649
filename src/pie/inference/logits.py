"""What is asked of logits, in plain torch. They are [vocabulary, distributions], as products make them."""

import numpy as np
import torch
from numpy.typing import NDArray

from pie.inference.measures import IMPOSSIBLE, Measures

BLOCK = 64
"""The best token is sought in two steps, by blocks of so many: the first can use vector instructions."""


def measure(logits: torch.Tensor) -> Measures:
    best = logits.amax(0)
    below = logits - best
    weights = below.exp()
    total = weights.sum(0)
    log_totals = total.log()
    entropies = log_totals - torch.linalg.vecdot(weights, below, dim=0) / total
    return Measures(best_tokens(logits), best, log_totals, entropies)


def best_tokens(logits: torch.Tensor) -> torch.Tensor:
    """Of each column."""
    size, count = logits.shape
    if size % BLOCK:
        return logits.argmax(0)
    blocks = logits.view(size // BLOCK, BLOCK, count)
    block = blocks.amax(1).argmax(0)
    within = blocks[block, :, torch.arange(count, device=logits.device)].argmax(1)
    return block * BLOCK + within


def top_tokens(logits: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` best of each column, descending: [distributions, count]."""
    return logits.t().contiguous().topk(count).indices


def allow_only(logits: torch.Tensor, columns: NDArray[np.int64], bits: NDArray[np.uint8]) -> None:
    """Leaves the tokens of the mask's rows (token t: bit t % 8 of byte t // 8) in those columns, in place: a
    copy of the logits would cost more than the model's share of a token."""
    forbidden = np.unpackbits(~bits, axis=1, count=len(logits), bitorder="little").view(np.bool_)
    which = torch.from_numpy(columns).to(logits.device)
    there = torch.from_numpy(forbidden).to(logits.device)
    logits[:, which] = logits[:, which].masked_fill(there.t(), IMPOSSIBLE)
