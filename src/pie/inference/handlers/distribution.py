"""Hidden states to next-token distributions: exact over the whole vocabulary, the best tokens sent."""

from array import array
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pie.inference.columns import Columns, Ints
from pie.inference.llama import Llama
from pie.inference.storage import EmbStorage

ROWS_AT_ONCE = 128
"""Distributions worked on together: bounds the memory for their logits (200 kB each)."""


class NotFinite(ArithmeticError):
    """The model's logits hold NaN or infinity."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """Columns as in `PassResult`."""

    top_tokens: "array[int]"
    top_probs: "array[float]"
    top_starts: "array[int]"
    chosen_logprobs: "array[float]"
    entropies: "array[float]"


def distributions(work: Columns, model: Llama, embs: EmbStorage) -> Distributions:
    """Raises `NotFinite`."""
    wanted = Wanted(work)
    for first in range(0, len(work.dist_slots), ROWS_AT_ONCE):
        slots = work.dist_slots[first : first + ROWS_AT_ONCE]
        wanted.fill(first, model.logits(embs.read(slots)))
    return wanted.columns()


class Wanted:
    """What a pass asks of its distributions, and the answers so far."""

    def __init__(self, work: Columns) -> None:
        self._counts = work.dist_top_k
        self._starts = np.concatenate(([0], np.cumsum(self._counts)))
        self._tokens = work.dist_tokens
        self._token_starts = work.dist_token_starts
        self._top_tokens = np.empty(self._starts[-1], np.int32)
        self._top_probs = np.empty(self._starts[-1], np.float32)
        self._chosen = np.empty(len(self._tokens), np.float32)
        self._entropies = np.empty(len(self._counts), np.float32)

    def fill(self, first: int, logits: torch.Tensor) -> None:
        """Distributions from `first` on, one a row of `logits`."""
        probs = torch.softmax(logits, -1)
        best, tokens = logits.max(-1)
        norms = best - torch.gather(probs, 1, tokens[:, None])[:, 0].log()
        entropies = norms - torch.linalg.vecdot(probs, logits)
        if not bool(torch.isfinite(entropies).all()):
            raise NotFinite("the model's logits are not finite (NaN or infinity)")
        last = first + len(logits)
        self._entropies[first:last] = entropies.clamp_min_(0.0).numpy()
        self._fill_chosen(first, last, logits, norms)
        for count in np.unique(self._counts[first:last]).tolist():
            self._fill_top(first, np.flatnonzero(self._counts[first:last] == count), count, probs, tokens)

    def _fill_top(
        self, first: int, rows: NDArray[np.int64], count: int, probs: torch.Tensor, best: torch.Tensor
    ) -> None:
        chosen = torch.from_numpy(rows)
        if count == 1:
            tokens = best[chosen][:, None]
            values = torch.gather(probs[chosen] if len(rows) < len(probs) else probs, 1, tokens)
        else:
            values, tokens = probs[chosen].topk(count)
        places = (self._starts[first + rows][:, None] + np.arange(count)).ravel()
        self._top_tokens[places] = tokens.numpy().ravel()
        self._top_probs[places] = values.numpy().ravel()

    def _fill_chosen(self, first: int, last: int, logits: torch.Tensor, norms: torch.Tensor) -> None:
        start, stop = self._token_starts[first], self._token_starts[last]
        if start == stop:
            return
        rows = np.repeat(np.arange(last - first), np.diff(self._token_starts[first : last + 1]))
        tokens = torch.from_numpy(self._tokens[start:stop]).long()
        of = torch.from_numpy(rows)
        self._chosen[start:stop] = (logits[of, tokens] - norms[of]).numpy()

    def columns(self) -> Distributions:
        return Distributions(
            as_ints(self._top_tokens),
            as_floats(self._top_probs),
            as_ints(self._starts.astype(np.int32)),
            as_floats(self._chosen),
            as_floats(self._entropies),
        )


def as_ints(values: Ints) -> "array[int]":
    return array("i", values.tobytes())


def as_floats(values: NDArray[np.float32]) -> "array[float]":
    return array("f", values.tobytes())
