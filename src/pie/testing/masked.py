"""Distributions of the fake driver among the tokens that a matcher allows."""

from array import array

import numpy as np
from numpy.typing import NDArray

from pie.inference.columns import Bools
from pie.testing.scores import Scores


class MaskedScores:
    """Implements `Scores` for one mask: the probabilities of those that are allowed add up to 1."""

    def __init__(self, scores: Scores, allowed: Bools) -> None:
        self._scores = scores
        self._allowed = allowed

    def top(self, hidden: int, count: int) -> "tuple[array[int], array[float]]":
        tokens, probs = self._best(hidden)
        return array("i", tokens[:count].tobytes()), array("f", probs[:count].tobytes())

    def logprob(self, hidden: int, token: int) -> float:
        if not self._allowed[token]:
            return -np.inf
        tokens, probs = self._best(hidden)
        return float(np.log(probs[tokens == token][0]))

    def entropy(self, hidden: int) -> float:
        probs = self._best(hidden)[1].astype(np.float64)
        return float(-(probs * np.log(probs)).sum())

    def _best(self, hidden: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        tokens, probs = map(np.asarray, self._scores.top(hidden, len(self._allowed)))
        left = self._allowed[tokens]
        return tokens[left], probs[left] / probs[left].sum()
