"""Time that moves only when a test says so."""

import heapq
import itertools
from collections.abc import Callable


class ManualHandle:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def run(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    @property
    def planned(self) -> bool:
        return self._callback is not None


class ManualClock:
    """A `core.clock.Clock`. `advance` makes the planned calls whose time has come, in order."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._planned: list[tuple[float, int, ManualHandle]] = []

    def now(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> ManualHandle:
        handle = ManualHandle(callback)
        heapq.heappush(self._planned, (max(when, self._now), next(self._order), handle))
        return handle

    def next_call(self) -> float | None:
        """When the next planned call is due."""
        while self._planned and not self._planned[0][2].planned:
            heapq.heappop(self._planned)
        return self._planned[0][0] if self._planned else None

    def advance(self, seconds: float) -> None:
        """Moves time on, also for calls that are planned meanwhile."""
        until = self._now + seconds
        while (due := self.next_call()) is not None and due <= until:
            self._now = due
            heapq.heappop(self._planned)[2].run()
        self._now = until

    def run_next(self) -> bool:
        """Moves on to the next planned call and makes it; False where none is planned."""
        due = self.next_call()
        if due is None:
            return False
        self.advance(due - self._now)
        return True

    def run_all(self, most: int = 100_000) -> None:
        """Until nothing is planned any more. Raises `RuntimeError` when that seems never to happen."""
        for _ in range(most):
            if not self.run_next():
                return
        raise RuntimeError(f"calls are still planned after {most} of them")
