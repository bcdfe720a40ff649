"""What is asked of every distribution: its best tokens, its total, its entropy. In plain torch."""

from dataclasses import dataclass

import torch

BLOCK = 64
"""The best token is sought in two steps, by blocks of so many: the first can use vector instructions."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Of some distributions, one number each."""

    tokens: torch.Tensor
    """The best token (int64), the first of equals."""
    best: torch.Tensor
    """Its logit."""
    log_totals: torch.Tensor
    """log Σ exp(logit - best)"""
    entropies: torch.Tensor
    """In nats; not finite where the logits are not."""


def measure(logits: torch.Tensor) -> Measures:
    """Of [vocabulary, distributions]."""
    best = logits.amax(0)
    below = logits - best
    weights = below.exp()
    total = weights.sum(0)
    log_totals = total.log()
    entropies = log_totals - torch.linalg.vecdot(weights, below, dim=0) / total
    return Measures(best_tokens(logits), best, log_totals, entropies)


def best_tokens(logits: torch.Tensor) -> torch.Tensor:
    """Of each column of [vocabulary, distributions]."""
    size, count = logits.shape
    if size % BLOCK:
        return logits.argmax(0)
    blocks = logits.view(size // BLOCK, BLOCK, count)
    block = blocks.amax(1).argmax(0)
    within = blocks[block, :, torch.arange(count, device=logits.device)].argmax(1)
    return block * BLOCK + within


def top_tokens(logits: torch.Tensor, count: int) -> torch.Tensor:
    """The `count` best of each column of [vocabulary, distributions], descending: [distributions, count]."""
    return logits.t().contiguous().topk(count).indices
