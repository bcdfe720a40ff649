"""A driver in this process: answers at once or when its clock says so, and dies on demand."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from pie.core.clock import Clock, Handle
from pie.core.driver import DriverSpec, Executor
from pie.core.passes import Pass, PassResult


def no_time(work: Pass) -> float:
    del work
    return 0.0


class FakeDriver:
    """A `core.driver.Driver` around any executor.

    Without a clock a pass is executed and answered inside `submit`. With one it takes `seconds(pass)`, one
    pass after the other, and its answer comes as a call of the clock. `kill` loses everything as the death
    of a driver process does; `restore` brings an empty one. `fail_next` makes one pass fail.
    """

    def __init__(
        self,
        executor: Executor,
        clock: Clock | None = None,
        seconds: Callable[[Pass], float] = no_time,
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._seconds = seconds
        self._waiting: deque[Pass] = deque()
        self._handle: Handle | None = None
        self._failure = ""
        self.alive = True
        self.passes: list[Pass] = []
        """All that was submitted, unless `keep_passes` is off."""
        self.keep_passes = True
        self.submitted = 0
        self.answered = 0

    @property
    def spec(self) -> DriverSpec:
        return self._executor.spec

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    def attach(
        self,
        done: Callable[[PassResult], None],
        lost: Callable[[str], None],
        restored: Callable[[], None],
    ) -> None:
        self._done, self._on_lost, self._on_restored = done, lost, restored

    def submit(self, work: Pass) -> None:
        """Raises `RuntimeError` while the driver is dead: nobody should send then."""
        if not self.alive:
            raise RuntimeError("a pass was sent to a dead driver")
        self.submitted += 1
        if self.keep_passes:
            self.passes.append(work)
        self._waiting.append(work)
        if self._clock is None:
            self._answer()
        elif len(self._waiting) == 1:
            self._start(self._clock)

    def fail_next(self, error: str) -> None:
        """The next pass that is executed changes nothing and fails."""
        self._failure = error

    def kill(self, reason: str = "killed by a test") -> None:
        self.alive = False
        if self._handle is not None:
            self._handle.cancel()
        self._waiting.clear()
        self._on_lost(reason)

    def restore(self, executor: Executor) -> None:
        """`executor` is the empty one of the new process."""
        self._executor = executor
        self.alive = True
        self._on_restored()

    def _start(self, clock: Clock) -> None:
        self._handle = clock.call_at(clock.now() + self._seconds(self._waiting[0]), self._answer)

    def _answer(self) -> None:
        work = self._waiting.popleft()
        result = self._execute(work)
        self.answered += 1
        if self._clock is not None and self._waiting:
            self._start(self._clock)
        self._done(result)

    def _execute(self, work: Pass) -> PassResult:
        if self._failure:
            failure, self._failure = self._failure, ""
            return PassResult(work.number, self._seconds(work), error=failure)
        return replace(self._executor.execute(work), seconds=self._seconds(work))
