"""Samples of the fake driver: `pie.sampling` on made-up distributions."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pie.core.passes import FaultKind, Pass, RowFault
from pie.inference.columns import Bools
from pie.inference.handlers.sample import Matchers
from pie.sampling import KEPT, Rows, draw
from pie.testing.scores import BEST_LOGIT, Scores

Best = tuple[NDArray[np.int32], NDArray[np.float32]]


class Draws:
    """`matchers`: None for a driver without them."""

    def __init__(self, scores: Scores, vocabulary: int, matchers: Matchers | None = None) -> None:
        self._scores = scores
        self._vocabulary = vocabulary
        self._matchers = matchers

    def draw(
        self, work: Pass, states: Mapping[int, tuple[int, int]], slots: Mapping[int, int]
    ) -> tuple[list[int], list[RowFault]]:
        """The token of each sample, and those that failed alone.

        `states`: by embedding slot, as after the forwards. `slots`: token slots as they were before the pass.
        """
        tokens, faults = [], []
        for row, emb in enumerate(work.sample_embs):
            matcher = work.sample_matchers[row]
            allowed, error = self._allowed(matcher)
            token = int(draw(_row(work, row, self._best(states[emb][0], allowed), slots))[0])
            if allowed is not None and self._matchers is not None and not error:
                error = self._matchers.take(matcher, token)
            if error:
                faults.append(RowFault(FaultKind.SAMPLE, row, error))
            tokens.append(token)
        return tokens, faults

    def _allowed(self, matcher: int) -> tuple[Bools | None, str]:
        if matcher < 0 or self._matchers is None:
            return None, ""
        bits, failed = self._matchers.masks([matcher])
        allowed = np.unpackbits(bits[0], count=self._vocabulary, bitorder="little").view(np.bool_)
        return allowed, failed.get(0, "")

    def _best(self, state: int, allowed: Bools | None) -> Best:
        """The best tokens and their probabilities, among those that are allowed."""
        kept = min(KEPT, self._vocabulary)
        if allowed is None:
            tokens, probs = map(np.asarray, self._scores.top(state, kept))
            return tokens, probs
        tokens, probs = map(np.asarray, self._scores.top(state, self._vocabulary))
        left = allowed[tokens]
        return tokens[left][:kept], (probs[left] / probs[left].sum())[:kept]


def _row(work: Pass, row: int, best: Best, slots: Mapping[int, int]) -> Rows:
    tokens, probs = best
    numbers = [np.array([number]) for number in work.sample_numbers[6 * row : 6 * row + 6]]
    temperature, top_p, min_p, repetition, presence, frequency = numbers
    return Rows(
        tokens[None],
        probs[None],
        np.array([BEST_LOGIT], np.float32),
        temperature,
        top_p,
        np.array([work.sample_top_k[row]], np.int32),
        min_p,
        [work.sample_seeds[row]],
        repetition,
        presence,
        frequency,
        [_seen(work, row, slots)],
    )


def _seen(work: Pass, row: int, slots: Mapping[int, int]) -> Sequence[int]:
    tokens = work.seen_tokens[work.seen_token_starts[row] : work.seen_token_starts[row + 1]]
    named = work.seen_slots[work.seen_slot_starts[row] : work.seen_slot_starts[row + 1]]
    return [*tokens, *(slots[slot] for slot in named)]
