"""What a text is about, as a sparse vector: the words that the model would sum it up with.

Hidden states stay with the driver; what comes out of it are distributions over the vocabulary. They make a
good sparse embedding when the model is asked for one word. (S. Zhuang et al., PromptReps: Prompting Large
Language Models to Generate Dense and Sparse Representations for Zero-Shot Document Retrieval, 2024.)
"""

import math
from collections.abc import Mapping, Sequence

ONE_WORD = '\n\nThis text means, in one word: "'


class Embedding:
    """A sparse vector over the vocabulary, of length 1. `weights`: token to weight, above 0."""

    __slots__ = ("weights",)

    def __init__(self, weights: Mapping[int, float]) -> None:
        norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        self.weights = {token: weight / norm for token, weight in weights.items() if weight > 0}

    def similarity(self, other: "Embedding") -> float:
        """The cosine of the angle between two of one model: 1 the same, 0 nothing in common."""
        shared = self.weights.keys() & other.weights.keys()
        return sum(self.weights[token] * other.weights[token] for token in shared)

    def __repr__(self) -> str:
        return f"Embedding({len(self.weights)} tokens)"


def from_top(best: Sequence[tuple[int, float]]) -> Embedding:
    """From a distribution's best tokens and their probabilities, descending.

    A token weighs the logarithm of how far its logit stands above the last one's.
    """
    last = best[-1][1] or min(share for _, share in best if share)
    return Embedding({token: math.log1p(math.log(share / last)) for token, share in best if share > last})
