"""A place in a grammar."""

from collections.abc import Sequence

import llguidance
import numpy as np
from numpy.typing import NDArray

from pie.core.grammar import MatcherState


class MatcherFault(Exception):
    """An operation of one matcher failed; nobody else is concerned."""


class Matcher:
    """Follows a text token by token. Stop tokens end it where the grammar lets it end; the only thing that
    can follow a stop token is another one.

    `advance` and `rollback` that fail change nothing. A matcher whose masks cost too much is lost for good:
    everything raises from then on.
    """

    __slots__ = ("_ended", "_inner", "_stop_tokens", "_taken")

    def __init__(self, inner: llguidance.LLMatcher, stop_tokens: frozenset[int]) -> None:
        self._inner = inner
        self._stop_tokens = stop_tokens
        self._taken = 0
        """Tokens so far, without those at the end ..."""
        self._ended = 0
        """... which are stop tokens."""

    @property
    def ended(self) -> bool:
        """A stop token was taken; the mask is the stop tokens then."""
        return self._ended > 0

    @property
    def error(self) -> str:
        """Why it is lost; empty for most."""
        said: str = self._inner.get_error()
        return f"the grammar is too involved: {said.partition(chr(10))[0]}" if said else ""

    def fork(self) -> "Matcher":
        """Another matcher at the same place."""
        self.check()
        twin = Matcher(self._inner.deep_copy(), self._stop_tokens)
        twin._taken, twin._ended = self._taken, self._ended
        return twin

    def check(self) -> None:
        """Raises `MatcherFault` for one that is lost."""
        if self._inner.is_error():
            raise MatcherFault(self.error)

    def fill(self, mask: NDArray[np.int32]) -> None:
        """Writes the allowed tokens to a contiguous row of bits; where that fails there is an `error`."""
        self._inner.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)

    def take(self, token: int) -> None:
        """Moves on by a token of the mask."""
        if token in self._stop_tokens and (self._ended or self._inner.is_accepting()):
            self._ended += 1
            return
        if not self._inner.consume_token(token):
            self.check()
        self._taken += 1

    def advance(self, tokens: Sequence[int]) -> None:
        trial = self.fork()
        for index, token in enumerate(tokens):
            if not trial._may_take(token):
                raise MatcherFault(f"the grammar does not allow token {token} (index {index} of the list)")
            trial.take(token)
        self._inner, self._taken, self._ended = trial._inner, trial._taken, trial._ended

    def rollback(self, count: int) -> None:
        self.check()
        taken = self._taken + self._ended
        if count > taken:
            raise MatcherFault(f"{count} tokens cannot be taken back: the matcher has taken {taken}")
        after_end = min(count, self._ended)
        if not self._inner.rollback(count - after_end):
            self.check()
        self._ended -= after_end
        self._taken -= count - after_end

    def state(self) -> MatcherState:
        self.check()
        if self._ended:
            return MatcherState(True, True, [])
        forced = self._inner.compute_ff_tokens()
        return MatcherState(self._inner.is_accepting(), self._inner.is_stopped(), list(forced))

    def _may_take(self, token: int) -> bool:
        if self._ended or (token in self._stop_tokens and self._inner.is_accepting()):
            return token in self._stop_tokens
        return bool(self._inner.validate_tokens([token]))
