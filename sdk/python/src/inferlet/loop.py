"""asyncio in the sandbox: an event loop whose only sources of events are host futures and timers.

There are no sockets, signals or threads to watch, so the loop waits in one place: `futures.wait-any`. And
where a single task waits for a single future, it does not come here at all: `Future.__await__` asks `alone`
and then waits in the host directly, which is what ordinary decoding does for each token.
"""

import asyncio
import heapq
import math
import sys
import traceback
import weakref
from asyncio.base_events import BaseEventLoop
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, NoReturn, TypeVar

from inferlet.host import bound

T = TypeVar("T")

POLL_EVERY = 16
"""Turns between two looks at the host futures while tasks keep one another busy."""


CANCELLED_TIMERS = 100
"""Timers of finished `timeout` blocks that may stay in the heap behind a live one."""


class Deadlock(RuntimeError):
    """Every task waits for another one of the same program."""


class EventLoop(BaseEventLoop):
    """The loop of one program. `asyncio`'s own tasks, timers, queues and locks run on it unchanged."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int
    _stopping: bool
    _asyncgens: "weakref.WeakSet[AsyncGenerator[Any, Any]]"

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}
        self._busy_turns = 0
        self.tasks_made = 0

    def create_task(self, coro: Coroutine[Any, Any, T], **settings: Any) -> asyncio.Task[T]:  # type: ignore[override]
        self.tasks_made += 1
        return super().create_task(coro, **settings)

    @property
    def has_generators(self) -> bool:
        """Asynchronous generators that have begun and not ended."""
        return bool(self._asyncgens)

    def alone(self, future: int) -> bool:
        """Whether nothing but the current task can run until the host future is ready.

        With timers and nothing else, it waits here until the future is ready or the first timer is due.
        """
        if self._ready or self._waiting:
            return False
        timer = self._next_timer() if self._scheduled else None
        return timer is None or future in bound.host.futures.wait_any([future], self._ms_until(timer))

    def until_ready(self, future: int) -> Generator[Any, None, None]:
        """Suspends the current task until the host future is done or has failed."""
        waiter = self.create_future()
        waiters = self._waiting.setdefault(future, [])
        waiters.append(waiter)
        try:
            yield from waiter
        finally:
            waiters.remove(waiter)
            if not waiters:
                self._waiting.pop(future, None)

    def time(self) -> float:
        return bound.host.monotonic()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override] # noqa: ARG002
        name = getattr(func, "__name__", "the function")
        raise RuntimeError(f"an inferlet has no threads: call {name} directly instead of in an executor")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody awaited and so nobody has seen goes to standard error, the program's log."""
        error = context.get("exception")
        shown = "" if error is None else "".join(traceback.format_exception(error))
        sys.stderr.write(f"{context['message']}\n{shown}")

    def close(self) -> None:
        self._waiting.clear()
        super().close()

    def _write_to_self(self) -> None:
        """Wakes another thread's loop in asyncio proper; there is no other thread."""

    def _run_once(self) -> None:
        """One turn: wait if nothing is ready, then run what was ready at the beginning."""
        timer = self._next_timer() if self._scheduled else None
        if not self._ready and not self._stopping:
            self._wait(timer)
        elif self._waiting:
            self._poll_sometimes()
        if timer is not None:
            self._run_due_timers()
        ready = self._ready
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _wait(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is None and not self._waiting:
            raise Deadlock(f"every task waits for another one, for ever: {_where_tasks_wait(self)}")
        timeout = None if timer is None else self._ms_until(timer)
        if bound.dropped.urgent:
            bound.forget_dropped()
        self._wake(bound.host.futures.wait_any(list(self._waiting), timeout))

    def _ms_until(self, timer: asyncio.TimerHandle) -> int:
        return max(0, math.ceil((timer.when() - self.time()) * 1000))

    def _poll_sometimes(self) -> None:
        self._busy_turns += 1
        if self._busy_turns % POLL_EVERY == 0:
            self._wake(bound.host.futures.poll(list(self._waiting)))

    def _wake(self, ready: list[int]) -> None:
        for future in ready:
            for waiter in self._waiting.get(future, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def _next_timer(self) -> asyncio.TimerHandle | None:
        """The earliest timer that has not been cancelled; cancelled ones before it are thrown away."""
        scheduled = self._scheduled
        if self._timer_cancelled_count > CANCELLED_TIMERS:
            self._forget_cancelled_timers()
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        return scheduled[0] if scheduled else None

    def _forget_cancelled_timers(self) -> None:
        for timer in self._scheduled:
            timer._scheduled = not timer._cancelled  # type: ignore[attr-defined]
        self._scheduled[:] = [timer for timer in self._scheduled if timer._scheduled]  # type: ignore[attr-defined]
        heapq.heapify(self._scheduled)
        self._timer_cancelled_count = 0

    def _run_due_timers(self) -> None:
        now = self.time()
        while (timer := self._next_timer()) is not None and timer.when() <= now:
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)


def _where_tasks_wait(loop: asyncio.AbstractEventLoop) -> str:
    return ", ".join(sorted(_describe(task) for task in asyncio.all_tasks(loop)))


def _describe(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack()
    return f"{task.get_name()} at line {stack[-1].f_lineno}" if stack else task.get_name()
