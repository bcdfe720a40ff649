"""What a fake model says about the next token."""

import math
from array import array
from functools import cache
from typing import Protocol

import numpy as np

BEST_LOGIT = 6.0
"""The raw logit of the best token, in every distribution of a fake model."""


class Scores(Protocol):
    """The full next-token distribution as a function of a hidden state (a 64-bit hash)."""

    def top(self, hidden: int, count: int) -> "tuple[array[int], array[float]]":
        """The `count` best tokens and their probabilities, descending."""
        ...

    def logprob(self, hidden: int, token: int) -> float: ...

    def entropy(self, hidden: int) -> float: ...


class HashedScores:
    """The hidden state picks the order of the tokens; their probabilities fall with the square of the rank.

    Token of rank r: `(step * r + first) mod vocabulary`, with a step that has no common divisor with it.
    """

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary
        self._steps = [s for s in range(1, min(vocabulary, 997) + 1) if math.gcd(s, vocabulary) == 1]
        weights = 1.0 / np.square(np.arange(1, vocabulary + 1, dtype=np.float64))
        probabilities = weights / weights.sum()
        self._ranks = np.arange(vocabulary, dtype=np.int64)
        self._probs = array("f", probabilities.astype(np.float32).tobytes())
        self._logprobs = np.log(probabilities)
        self._entropy = float(-(probabilities * self._logprobs).sum())
        self._inverse = cache(lambda step: pow(step, -1, vocabulary))

    def top(self, hidden: int, count: int) -> "tuple[array[int], array[float]]":
        step, first = self._order(hidden)
        if count == 1:
            return array("i", (first,)), self._probs[:1]
        tokens = (self._ranks[:count] * step + first) % self._vocabulary
        return array("i", tokens.astype(np.int32).tobytes()), self._probs[:count]

    def logprob(self, hidden: int, token: int) -> float:
        step, first = self._order(hidden)
        rank = (token - first) * self._inverse(step) % self._vocabulary
        return float(self._logprobs[rank])

    def entropy(self, hidden: int) -> float:
        del hidden
        return self._entropy

    def _order(self, hidden: int) -> tuple[int, int]:
        return self._steps[hidden // self._vocabulary % len(self._steps)], hidden % self._vocabulary
