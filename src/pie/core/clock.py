"""Time, handed in: rooms that need it take a `Clock`, so that tests move it by hand."""

from collections.abc import Callable
from typing import Protocol


class Handle(Protocol):
    """A call that is planned."""

    def cancel(self) -> None:
        """Does nothing when the call was made already."""
        ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        """Calls `callback` once, soon after `now()` has reached `when`, never before this returns."""
        ...
