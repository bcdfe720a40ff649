"""Choosing a token from a distribution's best ones. A pure function of (distribution, settings, seed)."""

from typing import Protocol

import numpy as np

from pie.core.commands import Dist
from pie.core.errors import InvalidArgument

Weights = np.ndarray[tuple[int], np.dtype[np.float64]]
MASK = (1 << 64) - 1
TINY = 1e-300
"""Keeps the best token even at top_p 0."""


class Sampling(Protocol):
    """The contract's record `sampling`; `top_k` 0 is no limit, `temperature` 0 the best token."""

    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def min_p(self) -> float: ...
    @property
    def seed(self) -> int: ...


def sample(dist: Dist, how: Sampling) -> int:
    """One of `dist.tokens`: temperature first, then the limits (top-k, top-p, min-p), then the draw."""
    _check(how)
    if how.temperature == 0:
        return int(dist.tokens[0])
    probs = np.asarray(dist.probs, np.float64)
    bounds = np.cumsum(_kept(np.power(probs / probs[0], 1 / how.temperature), how))
    chosen = int(np.searchsorted(bounds, uniform(how.seed) * bounds[-1], side="right"))
    return int(dist.tokens[min(chosen, len(bounds) - 1)])


def uniform(seed: int) -> float:
    """A number in [0, 1) for a seed: one step of SplitMix64."""
    z = (seed + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def _kept(weights: Weights, how: Sampling) -> Weights:
    """The first of descending weights whose best is 1, as far as the limits let them through."""
    if how.top_k:
        weights = weights[: how.top_k]
    if how.top_p < 1:
        before = np.cumsum(weights) - weights
        weights = weights[before < max(how.top_p * weights.sum(), TINY)]
    return weights[weights >= how.min_p]


def _check(how: Sampling) -> None:
    if not how.temperature >= 0 or how.temperature == float("inf"):
        raise InvalidArgument(f"temperature must be 0 or more, not {how.temperature}")
    if not 0 <= how.top_p <= 1 or not 0 <= how.min_p <= 1:
        raise InvalidArgument(f"top_p and min_p must be from 0 to 1, not {how.top_p} and {how.min_p}")
