"""Drawing a token from a distribution, by the rules of the contract."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_MASK = (1 << 64) - 1

Shares = list[tuple[int, float]]
"""Tokens with their probabilities (or weights), best first."""


def draw(best: Shares, how: Any, seed: int) -> int:
    """One token: temperature first, then the limits (top-k, top-p, min-p), then the draw."""
    if how.temperature == 0:
        return best[0][0]
    first = best[0][1]
    weights = [(token, (share / first) ** (1 / how.temperature)) for token, share in best]
    kept = _limited(weights, how)
    total = sum(weight for _, weight in kept)
    point = uniform(seed) * total
    for token, weight in kept:
        point -= weight
        if point < 0:
            return token
    return kept[-1][0]


def _limited(weights: Shares, how: Any) -> Shares:
    weights = weights[: how.top_k or None]
    total, before = sum(weight for _, weight in weights), 0.0
    kept: Shares = []
    for token, weight in weights:
        if kept and (before >= how.top_p * total or weight < how.min_p):
            break
        kept.append((token, weight))
        before += weight
    return kept


def penalised(best: Shares, how: Any, seen: Sequence[int]) -> Shares:
    """The shares after the penalties for tokens seen, best first."""
    counts = Counter(seen)
    if not counts or (how.repetition_penalty, how.presence_penalty, how.frequency_penalty) == (1, 0, 0):
        return best
    logits = {token: _penalised(math.log(share), counts[token], how) for token, share in best if share}
    return ranked({token: math.exp(logit) for token, logit in logits.items()})


def _penalised(logit: float, count: int, how: Any) -> float:
    if not count:
        return logit
    logit = logit / how.repetition_penalty if logit > 0 else logit * how.repetition_penalty
    return float(logit - how.presence_penalty - count * how.frequency_penalty)


def ranked(shares: Mapping[int, float]) -> Shares:
    """Best first; the lower token where two are equal."""
    return sorted(shares.items(), key=lambda item: (-item[1], item[0]))


def uniform(seed: int) -> float:
    """A number in [0, 1) for a seed: one step of SplitMix64."""
    z = (seed + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)
