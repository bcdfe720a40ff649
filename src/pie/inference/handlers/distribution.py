"""Hidden states to next-token distributions: exact over the whole vocabulary, the best tokens sent.

Everything works on logits as they leave the product, [vocabulary, distributions]: turning them over would
cost more than all the rest.
"""

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pie.inference.columns import Columns
from pie.inference.llama import Llama
from pie.inference.storage import EmbStorage

AT_ONCE = 64
"""Distributions worked on together: bounds the memory for their logits (200 kB each)."""
BLOCK = 64
"""The best token is sought in two steps, by blocks of so many: the first can use vector instructions."""


class NotFinite(ArithmeticError):
    """The model's logits hold NaN or infinity."""


Restrict = Callable[[int, torch.Tensor], None]
"""Changes the logits ([vocabulary, some distributions]) of those from a row of the pass on."""


def distributions(
    work: Columns, model: Llama, embs: EmbStorage, restrict: Restrict | None = None
) -> dict[str, Any]:
    """The columns of `PassResult` that they fill. Raises `NotFinite`."""
    answers = Answers(work)
    for first in range(0, len(work.dist_slots), AT_ONCE):
        slots = work.dist_slots[first : first + AT_ONCE]
        logits = model.logits(embs.read(slots))
        if restrict is not None:
            restrict(first, logits)
        answers.fill(first, Scores(logits))
    return answers.columns()


class Scores:
    """Distributions of a few hidden states. `logits` ([vocabulary, distributions]) is used up."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.count = logits.shape[1]
        self.best_logits = logits.amax(0)
        self._below_best = logits.sub_(self.best_logits)
        weights = self._below_best.exp()
        total = weights.sum(0)
        self._log_total = total.log()
        self.entropies = self._log_total - torch.linalg.vecdot(weights, self._below_best, dim=0) / total
        if not bool(torch.isfinite(self.entropies).all()):
            raise NotFinite("the model's logits are not finite (NaN or infinity)")

    def logprobs(self, tokens: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Of `tokens[i]` in distribution `which[i]`."""
        return self._below_best[tokens, which] - self._log_total[which]

    def top(self, count: int, which: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The `count` best tokens of each of `which` and their probabilities, both [which, count]."""
        if count == 1:
            tokens = best_tokens(self._below_best)[which][:, None]
        elif count:
            tokens = self._below_best[:, which].t().contiguous().topk(count).indices
        else:
            tokens = torch.empty(len(which), 0, dtype=torch.int64)
        owners = which[:, None].expand_as(tokens)
        return tokens, self.logprobs(tokens, owners).exp_()


def best_tokens(logits: torch.Tensor) -> torch.Tensor:
    """Of each column of [vocabulary, distributions]."""
    size, count = logits.shape
    if size % BLOCK:
        return logits.argmax(0)
    blocks = logits.view(size // BLOCK, BLOCK, count)
    block = blocks.amax(1).argmax(0)
    within = blocks[block, :, torch.arange(count)].argmax(1)
    return block * BLOCK + within


class Answers:
    """What a pass asks of its distributions, and the answers so far."""

    def __init__(self, work: Columns) -> None:
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
        """The distributions from `first` on."""
        last = first + scores.count
        self._entropies[first:last] = scores.entropies.clamp_min(0.0).numpy()
        self._best_logits[first:last] = scores.best_logits.numpy()
        self._fill_chosen(first, last, scores)
        counts = self._counts[first:last]
        for count in np.unique(counts).tolist():
            self._fill_top(first, np.flatnonzero(counts == count), count, scores)

    def _fill_top(self, first: int, which: NDArray[np.int64], count: int, scores: Scores) -> None:
        tokens, probs = scores.top(count, torch.from_numpy(which))
        places = np.add.outer(self._starts[first + which], np.arange(count)).ravel()
        self._top_tokens[places] = tokens.numpy().ravel()
        self._top_probs[places] = probs.numpy().ravel()

    def _fill_chosen(self, first: int, last: int, scores: Scores) -> None:
        start, stop = self._token_starts[first], self._token_starts[last]
        if start < stop:
            owners = np.repeat(np.arange(last - first), np.diff(self._token_starts[first : last + 1]))
            tokens = torch.from_numpy(self._tokens[start:stop]).long()
            self._chosen[start:stop] = scores.logprobs(tokens, torch.from_numpy(owners)).numpy()

    def columns(self) -> dict[str, Any]:
        return {
            "top_tokens": array("i", self._top_tokens.tobytes()),
            "top_probs": array("f", self._top_probs.tobytes()),
            "top_starts": array("i", self._starts.astype(np.int32).tobytes()),
            "chosen_logprobs": array("f", self._chosen.tobytes()),
            "entropies": array("f", self._entropies.tobytes()),
            "best_logits": array("f", self._best_logits.tobytes()),
        }
