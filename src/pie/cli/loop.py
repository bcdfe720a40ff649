"""Runs a verb's coroutine: on uvloop, and stopped by Ctrl-C once gently, twice at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar, cast

import uvloop

from pie.cli.failures import INTERRUPTED, Interrupted

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(SystemExit):
    """SIGTERM was asked for and obeyed."""

    def __init__(self) -> None:
        super().__init__(0)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """The first signal cancels `work`, which cleans up; then Interrupted (SIGINT) or Terminated (SIGTERM)."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(with_signals(work))


async def with_signals(work: Coroutine[Any, Any, T]) -> T:
    stopper = Stopper(asyncio.ensure_future(work))
    with stopper.listening():
        try:
            return cast(T, await stopper.task)
        except asyncio.CancelledError:
            raise stopper.exception() from None


class Stopper:
    """Handlers are plain ones, not the loop's: the second signal must work when the loop hangs."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self.task = task
        self._loop = asyncio.get_running_loop()
        self._received: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Also those that were ignored: a script's `pie serve &` has no SIGINT, and `kill -INT` is meant."""
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._received is not None:
            end_at_once()
        self._received = number
        self._loop.call_soon_threadsafe(self.task.cancel)

    def exception(self) -> BaseException:
        return {signal.SIGINT: Interrupted(), signal.SIGTERM: Terminated()}.get(
            signal.Signals(self._received or signal.SIGINT), asyncio.CancelledError()
        )


def end_at_once() -> None:
    """No clean-up: our driver notices that we are gone and ends itself."""
    sys.stderr.write("\n")
    os._exit(INTERRUPTED)
