"""Hidden states to next-token distributions: exact over the whole vocabulary, the best tokens sent.

Everything works on logits as they leave the product, [vocabulary, distributions]: turning them over would
cost more than all the rest.
"""

from array import array
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.inference.columns import Columns
from pie.inference.device import Array, Device
from pie.inference.model import Model
from pie.inference.storage import EmbStorage

AT_ONCE = 128
"""Distributions worked on together: bounds the memory for their logits (200 kB each)."""


class NotFinite(ArithmeticError):
    """The model's logits hold NaN or infinity."""


Restrict = Callable[[int, Array], None]
"""Changes the logits ([vocabulary, some distributions]) of those from a row of the pass on."""


def distributions(
    work: Columns, model: Model, embs: EmbStorage, restrict: Restrict | None = None
) -> dict[str, Any]:
    """The columns of `PassResult` that they fill. Raises `NotFinite`."""
    if not len(work.dist_slots):
        return {}
    answers = Answers(work, embs.device)
    for first in range(0, len(work.dist_slots), AT_ONCE):
        slots = work.dist_slots[first : first + AT_ONCE]
        logits = model.logits(embs.read(slots))
        if restrict is not None:
            restrict(first, logits)
        answers.fill(first, Scores(model, logits))
    return answers.columns()


class Scores:
    """Distributions of a few hidden states. `logits` are [vocabulary, distributions]. Raises `NotFinite` if
    they are numpy's; from a device entropies come back with the other numbers, for `refuse_infinite`."""

    def __init__(self, model: Model, logits: Array) -> None:
        self.count = logits.shape[1]
        self._model = model
        self._logits = logits
        measured = model.measure(logits)
        self.best_tokens = measured.tokens
        self.best_logits = measured.best
        self.entropies = measured.entropies
        self._below_total = measured.log_totals
        if isinstance(self.entropies, np.ndarray):
            refuse_infinite(self.entropies)
        self._log_totals = measured.best + measured.log_totals

    def logprobs(self, tokens: Array, which: Array) -> Array:
        """Of `tokens[i]` in distribution `which[i]`."""
        return self._logits[tokens, which] - self._log_totals[which]

    def top(self, count: int, which: Array) -> tuple[Array, Array]:
        """The `count` best tokens of each of `which` and the logarithms of their probabilities, both
        [which, count]."""
        if count <= 1:
            return self.best_tokens[which][:, None][:, :count], -self._below_total[which][:, None][:, :count]
        tokens = self._model.top_tokens(self._chosen(which), count)
        return tokens, self.logprobs(tokens, which[:, None])

    def _chosen(self, which: Array) -> Array:
        if len(which) == self.count:
            return self._logits
        return self._logits.T[which].T


def refuse_infinite(entropies: NDArray[np.generic]) -> None:
    """Raises `NotFinite`."""
    if not np.isfinite(entropies).all():
        raise NotFinite("the model's logits are not finite (NaN or infinity)")


class Answers:
    """What a pass asks of its distributions, and the answers so far."""

    def __init__(self, work: Columns, device: Device) -> None:
        self._device = device
        self._counts = work.dist_top_k
        self._starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(self._counts)))
        self._tokens = work.dist_tokens
        self._token_starts = work.dist_token_starts
        self._top_tokens = np.empty(self._starts[-1], np.int32)
        self._top_probs = np.empty(self._starts[-1], np.float32)
        self._chosen = np.empty(len(self._tokens), np.float32)
        self._entropies = np.empty(len(self._counts), np.float32)
        self._best_logits = np.empty(len(self._counts), np.float32)

    def fill(self, first: int, scores: Scores) -> None:
        """The distributions from `first` on. Raises `NotFinite`."""
        last = first + scores.count
        groups = list(self._groups(first, last))
        tops = [scores.top(count, self._device.sent(which)) for which, count in groups]
        chosen = self._chosen_logprobs(first, last, scores)
        numbers = self._device.fetched(
            scores.entropies, scores.best_logits, chosen, *chain.from_iterable(tops)
        )
        refuse_infinite(numbers[0])
        self._entropies[first:last] = np.maximum(numbers[0], 0.0)
        self._best_logits[first:last] = numbers[1]
        self._chosen[self._token_starts[first] : self._token_starts[last]] = numbers[2]
        for (which, count), tokens, logprobs in zip(groups, numbers[3::2], numbers[4::2], strict=True):
            places = np.add.outer(self._starts[first + which], np.arange(count)).ravel()
            self._top_tokens[places] = tokens.ravel()
            self._top_probs[places] = np.exp(logprobs).ravel()

    def _groups(self, first: int, last: int) -> Iterator[tuple[NDArray[np.int64], int]]:
        """Distributions that ask for as many best tokens: in most passes all of them."""
        counts = self._counts[first:last]
        if (counts == counts[0]).all():
            yield np.arange(len(counts)), int(counts[0])
            return
        for count in np.unique(counts).tolist():
            yield np.flatnonzero(counts == count), count

    def _chosen_logprobs(self, first: int, last: int, scores: Scores) -> Array:
        start, stop = self._token_starts[first], self._token_starts[last]
        if start == stop:
            return scores.entropies[:0]
        owners = np.repeat(np.arange(last - first), np.diff(self._token_starts[first : last + 1]))
        tokens = self._tokens[start:stop].astype(np.int64)
        return scores.logprobs(self._device.sent(tokens), self._device.sent(owners))

    def columns(self) -> dict[str, Any]:
        return {
            "top_tokens": array("i", self._top_tokens.tobytes()),
            "top_probs": array("f", self._top_probs.tobytes()),
            "top_starts": array("i", self._starts.astype(np.int32).tobytes()),
            "chosen_logprobs": array("f", self._chosen.tobytes()),
            "entropies": array("f", self._entropies.tobytes()),
            "best_logits": array("f", self._best_logits.tobytes()),
        }
