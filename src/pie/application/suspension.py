"""A host call that waits: what it will answer once somebody wakes its guest."""

from collections.abc import Callable
from typing import Any, Final

SUSPENDED: Final = object()
"""What a binding returns instead of a value after `Suspension.begin`."""


class Suspension:
    """One for each guest; a guest waits in at most one host call."""

    __slots__ = ("_failed", "_finish", "_lower", "_results", "woken")

    def __init__(self) -> None:
        self._finish: Callable[[], Any] | None = None
        self._lower: Callable[[int, Any], None] | None = None
        self._failed: Callable[[Any, BaseException, int], int | None] | None = None
        self._results = 0
        self.woken = False

    @property
    def waits(self) -> bool:
        """Whether only a call of `wake` can make the guest go on."""
        return self._finish is not None and not self.woken

    def begin(self, finish: Callable[[], Any]) -> object:
        """The current host call answers with `finish()`, later; returns `SUSPENDED` for the binding."""
        self._finish = finish
        self.woken = False
        return SUSPENDED

    def answers(self, lower: Any, failed: Any, results: int) -> None:
        """Where and how the answer is to be written."""
        self._lower, self._failed, self._results = lower, failed, results

    def resume(self, guest: Any) -> int | bool | None:
        """False: still waiting. Else the answer has been written (None), or a trap is due (its address)."""
        finish = self._finish
        if finish is None:
            return None
        if not self.woken:
            return False
        self._finish = None
        try:
            value = finish()
            if self._lower is not None:
                self._lower(self._results, value)
        except BaseException as fault:
            return self._failed(guest, fault, self._results) if self._failed else None
        return None

    def forget(self) -> None:
        """The guest has ended; nothing will be written any more."""
        self._finish = None
