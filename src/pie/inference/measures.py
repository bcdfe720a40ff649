"""What is asked of every distribution: its best token, its total, its entropy."""

from dataclasses import dataclass

from pie.inference.device import Array

IMPOSSIBLE = -1e30
"""The logit of a token that is not allowed: finite, and its probability is exactly 0."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Of some distributions, one number each."""

    tokens: Array
    """The best token, the first of equals."""
    best: Array
    """Its logit."""
    log_totals: Array
    """log Σ exp(logit - best)"""
    entropies: Array
    """In nats; not finite where the logits are not."""
