"""One life of a driver process: from its start to its end, with its passes in flight."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from pie.core import errors
from pie.core.driver import DriverSpec
from pie.core.errors import PieError, Unavailable
from pie.core.passes import Pass, PassResult
from pie.core.progress import Progress, Step
from pie.inference.channel import Channel
from pie.inference.child import Child, start_child
from pie.inference.early import EarlyProcess
from pie.inference.settings import InferenceSettings
from pie.inference.wire import (
    Advanced,
    Began,
    Done,
    Ended,
    FromDriver,
    Ready,
    Refused,
    Wire,
    WorkerOptions,
    pass_result,
)

HANG_UP_SECONDS = 1.0
"""A process that has closed its line is killed after this."""


class Life:
    """A process, its channel and what is under way. Breaks when a pass hangs or an answer makes no sense."""

    def __init__(
        self,
        settings: InferenceSettings,
        progress: Progress,
        done: Callable[[PassResult], None],
        early: EarlyProcess | None = None,
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._done = done
        self._wire = Wire()
        self._steps: dict[int, Step] = {}
        self._in_flight: deque[int] = deque()
        self._limit: asyncio.TimerHandle | None = None
        self._reason = ""
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[DriverSpec] = self._loop.create_future()
        self._channel = Channel(self._receive, self._hung_up, early.line if early else None)
        self._child: Child | None = None
        if early is not None:
            early.taken = True
            self._child = Child(early.process)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self, options: WorkerOptions) -> DriverSpec:
        """Raises the driver's own reason, or `Unavailable` with its last words."""
        self._child = child = self._child or await self._start_child()
        self._channel.send(msgspec.json.encode(options))
        seconds = self._settings.start_seconds
        either: set[asyncio.Future[Any]] = {self._ready, child.ended}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        self._channel.drain()
        if self._ready.done():
            return self._ready.result()
        if child.ended.done():
            last_words = f"{child.ended.result()}\n{child.last_lines}".rstrip()
            raise Unavailable(f"the driver did not start: {last_words}")
        raise Unavailable(f"the driver was not ready within {seconds:g} seconds")

    async def _start_child(self) -> Child:
        with self._channel.other_end as line:  # ours is closed once the child has its own
            return await start_child(line.fileno(), self._settings.threads)

    def submit(self, work: Pass) -> None:
        self._channel.send(self._wire.encode_pass(work))
        self._in_flight.append(work.number)
        if self._channel.clogged:
            self._break("it does not take its passes")
        if self._limit is None:
            self._watch()

    async def wait_ended(self) -> str:
        """Why it ended; answers that it still gave have been handed over."""
        if self._child is None:
            return "it was never started"
        reason = await asyncio.shield(self._child.ended)
        self._channel.drain()
        return self._reason or reason

    async def close(self) -> None:
        """Idempotent; process and line are gone afterwards."""
        self._stop_watch()
        for step in self._steps.values():
            step.finish()
        self._steps.clear()
        self._channel.close()
        if self._child is not None:
            await self._child.close()
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # nobody may have asked

    def _watch(self) -> None:
        self._limit = self._loop.call_later(self._settings.pass_seconds, self._hung)

    def _stop_watch(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _hung(self) -> None:
        self._break(f"pass {self._in_flight[0]} took longer than {self._settings.pass_seconds:g} seconds")

    def _hung_up(self) -> None:
        """Without its line the process is of no use. Mostly it is about to end by itself, and says why."""
        if self._child is not None:
            self._stop_watch()
            self._limit = self._loop.call_later(HANG_UP_SECONDS, self._child.kill)

    def _break(self, reason: str) -> None:
        self._reason = self._reason or reason
        if self._child is not None:
            self._child.kill()

    def _receive(self, data: bytes) -> None:
        if self._reason:
            return
        message = self._decode(data)
        if isinstance(message, PassResult):
            self._finish(message)
        elif self._ready.done():
            self._break("it spoke of its start when that was over")
        elif message is not None:
            self._begin(message)

    def _decode(self, data: bytes) -> PassResult | FromDriver | None:
        try:
            message = self._wire.decode(data)
            return pass_result(message) if isinstance(message, Done) else message
        except (msgspec.MsgspecError, ValueError) as error:
            self._break(f"it sent something that is not a message ({error})")
            return None

    def _begin(self, message: FromDriver) -> None:
        match message:
            case Began(number, label, total):
                self._steps[number] = self._progress.start(label, total)
            case Advanced(number, amount) if number in self._steps:
                self._steps[number].advance(amount)
            case Ended(number) if number in self._steps:
                self._steps.pop(number).finish()
            case Ready(spec):
                self._ready.set_result(spec)
            case Refused():
                self._ready.set_exception(error_of(message))

    def _finish(self, result: PassResult) -> None:
        if not self._in_flight or self._in_flight[0] != result.number:
            self._break(f"it answered pass {result.number}, which is not the next")
            return
        self._in_flight.popleft()
        self._stop_watch()
        if self._in_flight:
            self._watch()
        self._done(result)


def error_of(message: Refused) -> PieError:
    kind = getattr(errors, message.error, Unavailable)
    if not (isinstance(kind, type) and issubclass(kind, PieError)):
        kind = Unavailable
    return kind(message.message)
