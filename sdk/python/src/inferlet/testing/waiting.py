"""Futures of the fake, in virtual time."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from inferlet.testing.pages import ErrorKind, HostError


class Pending:
    """A future. It is ready at a time, or when there is a message in its box.

    `fill` is called by the first wait for it: it may put something into the box.
    """

    def __init__(
        self,
        ready_at: int | None,
        value: Any = None,
        error: HostError | None = None,
        box: deque[Any] | None = None,
        fill: Callable[[], None] | None = None,
    ) -> None:
        self.ready_at = ready_at
        self.value = value
        self.error = error
        self.box = box
        self.fill = fill


class FakeFutures:
    """The interface `futures`. Time passes only while the program waits."""

    def __init__(self, messages: Sequence[str | bytes], calls: list[str]) -> None:
        self.inbox: deque[str | bytes] = deque(messages)
        self.milliseconds = 0
        self.pending: dict[int, Pending] = {}
        self._calls = calls
        self._last = 0

    def poll(self, futures: list[int]) -> list[int]:
        self._calls.append("poll")
        return self._ready(futures)

    def wait_any(self, futures: list[int], timeout_ms: int | None) -> list[int]:
        self._calls.append("wait_any")
        ready = self._ready(futures) or self._fill(futures)
        if ready or timeout_ms == 0:
            return ready
        times = [time for future in futures if (time := self.pending[future].ready_at) is not None]
        if timeout_ms is not None:
            times.append(self.milliseconds + timeout_ms)
        if not times:
            self._nothing_comes()
            return futures
        self.milliseconds = min(times)
        return self._ready(futures)

    def wait(self, future: int) -> None:
        self._calls.append("wait")
        self.finish(future)

    def finish(self, future: int) -> Any:
        """Waits, and gives the value; the calls that wait, read and drop in one are made of it."""
        pending = self.find(future)
        if not self.is_ready(pending):
            self._fill([future])
        if not self.is_ready(pending):
            if pending.ready_at is None:
                self._nothing_comes()
            else:
                self.milliseconds = pending.ready_at
        if pending.error is not None:
            raise pending.error
        return pending.value

    def take(self, future: int) -> Any:
        """`finish`, and the future is forgotten."""
        value = self.finish(future)
        self.pending.pop(future, None)
        return value

    def take_text(self, future: int) -> str:
        return str(self._take(future))

    def take_blob(self, future: int) -> bytes:
        value = self._take(future)
        return value if isinstance(value, bytes) else str(value).encode()

    def drop(self, futures: list[int]) -> None:
        self._calls.append("drop")
        for future in futures:
            self.pending.pop(future, None)

    def add(self, pending: Pending) -> int:
        self._last += 1
        self.pending[self._last] = pending
        return self._last

    def find(self, future: int) -> Pending:
        if future not in self.pending:
            raise HostError(ErrorKind.UNKNOWN_ID, f"future {future} does not exist or was dropped")
        return self.pending[future]

    def is_ready(self, pending: Pending) -> bool:
        if pending.error is not None:
            return True
        return bool(pending.box) if pending.ready_at is None else pending.ready_at <= self.milliseconds

    def _ready(self, futures: list[int]) -> list[int]:
        return [future for future in futures if self.is_ready(self.find(future))]

    def _fill(self, futures: list[int]) -> list[int]:
        for future in futures:
            fill = self.pending[future].fill
            if fill is not None:
                fill()
        return self._ready(futures)

    def _take(self, future: int) -> str | bytes:
        pending = self.find(future)
        value: str | bytes = pending.value if pending.box is None else pending.box.popleft()
        return value

    def _nothing_comes(self) -> None:
        """Whoever waits for a message that nobody can send any more is told."""
        for pending in self.pending.values():
            if pending.ready_at is None and not pending.box:
                pending.error = HostError(ErrorKind.CANCELLED, "nobody is left who could send a message")
