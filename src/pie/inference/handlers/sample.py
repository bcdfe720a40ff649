"""Tokens drawn from hidden states into token slots, as `pie.sampling` defines it."""

from array import array
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pie.core.passes import FaultKind, RowFault
from pie.inference.columns import Columns, Ints
from pie.inference.device import Array
from pie.inference.handlers.distribution import AT_ONCE, Scores, refuse_infinite
from pie.inference.model import Model
from pie.inference.storage import EmbStorage, SlotStorage
from pie.sampling import KEPT, Rows, draw

Indices = NDArray[np.int64]


class Matchers(Protocol):
    """Places in grammars, by physical id."""

    def masks(self, matchers: Sequence[int]) -> tuple[NDArray[np.uint8], dict[int, str]]:
        """Which tokens may come next (token t: bit t % 8 of byte t // 8), a row for each of `matchers`, and
        the errors of those rows that have none; in these everything is allowed."""
        ...

    def take(self, matcher: int, token: int) -> str:
        """Moves a matcher on by a token of its mask; why that failed, or nothing."""
        ...


class Samples:
    def __init__(
        self, model: Model, embs: EmbStorage, slots: SlotStorage, matchers: Matchers | None = None
    ) -> None:
        self._model = model
        self._embs = embs
        self._slots = slots
        self._matchers = matchers

    def run(self, work: Columns, faults: list[RowFault]) -> dict[str, Any]:
        """The column of `PassResult` that they fill; `faults` gets those that failed alone.

        Raises `NotFinite`.
        What penalties count is read first; slots and matchers change last, when nothing can fail.
        """
        count = len(work.sample_embs)
        if not count:
            return {}
        tokens = np.empty(count, np.int32)
        seen = all_seen(work, self._slots)
        simple = work.sample_numbers[:, 0] == 0
        if len(work.seen_tokens) or len(work.seen_slots):
            simple &= np.array([not len(row) for row in seen], np.bool_)
        failed: dict[int, str] = {}
        for rows in pieces(np.flatnonzero(simple)):
            tokens[rows] = self._best(work, rows, failed)
        for rows in pieces(np.flatnonzero(~simple)):
            logits = self._logits(work, rows, failed)
            tokens[rows] = self._drawn(work, rows, logits, [seen[row] for row in rows])
        self._slots.tokens[work.sample_slots] = tokens
        self._move_matchers(work, tokens, failed)
        faults += [RowFault(FaultKind.SAMPLE, row, why) for row, why in failed.items()]
        return {"sampled": array("i", tokens.tobytes())}

    def _logits(self, work: Columns, rows: Indices, failed: dict[int, str]) -> Array:
        """[vocabulary, rows], and which of the pass's rows have no token to choose."""
        logits = self._model.logits(self._embs.read(work.sample_embs[rows]))
        matchers = work.sample_matchers[rows]
        restricted = np.flatnonzero(matchers >= 0)
        if len(restricted) and self._matchers is not None:
            bits, without = self._matchers.masks(matchers[restricted].tolist())
            self._model.allow_only(logits, restricted, bits)
            failed.update((int(rows[restricted[row]]), why) for row, why in without.items())
        return logits

    def _move_matchers(self, work: Columns, tokens: Ints, failed: dict[int, str]) -> None:
        for row in np.flatnonzero(work.sample_matchers >= 0).tolist():
            if row not in failed and self._matchers is not None:
                why = self._matchers.take(int(work.sample_matchers[row]), int(tokens[row]))
                if why:
                    failed[row] = why

    def _best(self, work: Columns, rows: Indices, failed: dict[int, str]) -> Ints:
        if (work.sample_matchers[rows] < 0).all():
            tokens, check = self._model.best(self._embs.read(work.sample_embs[rows]))
        else:
            measured = self._model.measure(self._logits(work, rows, failed))
            tokens, check = self._embs.device.fetched(measured.tokens, measured.entropies)
        refuse_infinite(check)
        return tokens.astype(np.int32)

    def _drawn(self, work: Columns, rows: Indices, logits: Array, seen: Sequence[Ints]) -> Ints:
        scores, device = Scores(self._model, logits), self._embs.device
        top = scores.top(min(KEPT, len(logits)), device.sent(np.arange(len(rows))))
        tokens, logprobs, best, entropies = device.fetched(*top, scores.best_logits, scores.entropies)
        refuse_infinite(entropies)
        temperature, top_p, min_p, repetition, presence, frequency = work.sample_numbers[rows].T
        found = draw(
            Rows(
                tokens.astype(np.int32),
                np.exp(logprobs),
                best,
                temperature,
                top_p,
                work.sample_top_k[rows],
                min_p,
                work.sample_seeds[rows].tolist(),
                repetition,
                presence,
                frequency,
                seen,
            )
        )
        return found.astype(np.int32)


def pieces(rows: Indices) -> list[Indices]:
    return [rows[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE)]


def all_seen(work: Columns, slots: SlotStorage) -> list[Ints]:
    """`seen_tokens` of each sample: of most passes, of none."""
    if not (len(work.seen_tokens) or len(work.seen_slots)):
        return [work.seen_tokens] * len(work.sample_embs)
    return [seen_tokens(work, row, slots) for row in range(len(work.sample_embs))]


def seen_tokens(work: Columns, row: int, slots: SlotStorage) -> Ints:
    """What the penalties of a sample count: tokens named, and tokens in slots."""
    first, last = work.seen_slot_starts[row : row + 2]
    tokens = work.seen_tokens[work.seen_token_starts[row] : work.seen_token_starts[row + 1]]
    return np.concatenate((tokens, slots.tokens[work.seen_slots[first:last]])) if first < last else tokens
