"""Drawing one token for each of many rows, in numpy, 64 bits.

For a row: penalties change the logits of tokens seen; the ratios to the best token's probability are raised
to the power of 1 / temperature; top-k, top-p and min-p each leave some of the best; one number in [0, 1),
made of the seed, picks by cumulated weight. Every step works on each row alone and from its beginning on, so
a row's token does not depend on its neighbours, to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pie.sampling.seeds import uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TINY = 1e-300
"""Keeps the best token even at top_p 0."""
NEUTRAL = (1.0, 0.0, 0.0)
"""Penalties that change nothing."""


@dataclass(frozen=True, slots=True)
class Rows:
    """`tokens` and `probs` ([rows, best], descending) are the best of each distribution; the others have one
    value a row, or one list of tokens. A `top_k` of 0 is no limit, a temperature of 0 takes the best."""

    tokens: NDArray[np.int32]
    probs: NDArray[np.float32]
    best_logits: NDArray[np.float32]
    temperature: Floats
    top_p: Floats
    top_k: NDArray[np.int32]
    min_p: Floats
    seeds: Sequence[int]
    repetition: Floats
    presence: Floats
    frequency: Floats
    seen: Sequence[Sequence[int] | NDArray[np.int32]]


def draw(rows: Rows) -> Ints:
    """The token of each row."""
    tokens: NDArray[np.int64] = rows.tokens.astype(np.int64)
    probs = rows.probs.astype(np.float64)
    ratios = probs / probs[:, :1]
    for row, seen in enumerate(rows.seen):
        if len(seen) and (rows.repetition[row], rows.presence[row], rows.frequency[row]) != NEUTRAL:
            tokens[row], ratios[row] = _penalised(rows, row, tokens[row], ratios[row], seen)
    return tokens[np.arange(len(tokens)), _choose(rows, ratios)]


def _penalised(
    rows: Rows, row: int, tokens: Ints, ratios: Floats, seen: Sequence[int] | NDArray[np.int32]
) -> tuple[Ints, Floats]:
    """Tokens and ratios, in their new order."""
    named, counts = np.unique(np.asarray(seen, np.int64), return_counts=True)
    place = np.minimum(np.searchsorted(named, tokens), len(named) - 1)
    count = np.where(named[place] == tokens, counts[place], 0)
    with np.errstate(divide="ignore"):
        logits: Floats = np.log(ratios) + np.float64(rows.best_logits[row])
    factor = rows.repetition[row]
    changed: Floats = np.where(logits > 0, logits / factor, logits * factor)
    changed = changed - rows.presence[row] - rows.frequency[row] * count
    logits = np.where(count > 0, changed, logits)
    order = np.argsort(-logits, kind="stable")
    return tokens[order], np.exp(logits[order] - logits[order[0]])


def _choose(rows: Rows, ratios: Floats) -> Ints:
    """Which of its tokens each row takes."""
    warm = rows.temperature > 0
    with np.errstate(over="ignore", under="ignore"):
        exponents = 1.0 / np.where(warm, rows.temperature, 1.0)
        weights = np.power(ratios, exponents[:, None])
    bounds = np.cumsum(weights, axis=1)
    kept = np.where(warm, _kept(rows, weights, bounds), 1)
    numbers = np.array([uniform(seed) for seed in rows.seeds])
    goals = numbers * bounds[np.arange(len(bounds)), kept - 1]
    below = np.count_nonzero(bounds <= goals[:, None], axis=1)
    chosen: Ints = np.minimum(below, kept - 1)
    return chosen


def _kept(rows: Rows, weights: Floats, bounds: Floats) -> Ints:
    """How many of the first of each row the limits leave; at least one."""
    width = weights.shape[1]
    kept = np.where(rows.top_k > 0, np.minimum(rows.top_k, width), width)
    totals = bounds[np.arange(len(bounds)), kept - 1]
    limits = np.where(rows.top_p < 1, np.maximum(rows.top_p * totals, TINY), np.inf)
    kept = np.minimum(kept, 1 + np.count_nonzero(bounds[:, :-1] < limits[:, None], axis=1))
    kept = np.minimum(kept, np.count_nonzero(weights >= rows.min_p[:, None], axis=1))
    found: Ints = kept.astype(np.int64)
    return found
