"""A launched program, seen from the client."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar

from pie.client.errors import ClientError, ProgramFailed, RequestRefused, refused
from pie.core.events import Blob, Event, Failed, Finished, Log, Message
from pie.protocol import (
    BlobFrame,
    BlobOp,
    CancelOp,
    ErrorFrame,
    FailedFrame,
    FinishedFrame,
    Frame,
    LogFrame,
    MessageFrame,
    MessageOp,
    Operation,
    StartedFrame,
)

R = TypeVar("R")


class Sender(Protocol):
    async def send(self, operation: Operation) -> None: ...


class AsyncRunning(Generic[R]):
    """Iterate over it for the program's messages (`str`, or `bytes` for blobs); await `result()`.

    Events wait here, without a bound, until somebody iterates: a program's messages may be looked at after
    its result. They are given out once.
    """

    def __init__(self, sender: Sender, ref: int, read_result: Callable[[str], R]) -> None:
        self._sender = sender
        self.ref = ref
        self._read_result = read_result
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._last: Finished | Failed | None = None
        self._broken: ClientError | None = None
        self._refused: RequestRefused | None = None

    @property
    def id(self) -> str:
        """The server's name of the instance, as in `pie ps`."""
        return self._started.result()

    @property
    def ended(self) -> bool:
        return self._last is not None or self._broken is not None

    @property
    def started(self) -> bool:
        return self._started.done() and self._started.exception() is None

    async def wait_started(self) -> None:
        """Raises RequestRefused when the server does not launch it."""
        await asyncio.shield(self._started)

    async def send(self, message: str | bytes) -> None:
        """A message for the program's `receive`, a blob if `bytes`. The server's refusal of an earlier one
        (its mailbox is full) is raised here or at the next wait."""
        self._raise_refusal()
        if isinstance(message, str):
            await self._sender.send(MessageOp(ref=self.ref, text=message))
        else:
            await self._sender.send(BlobOp(ref=self.ref, data=message))

    async def cancel(self) -> None:
        """Ends the program; harmless when it has ended."""
        if not self.ended:
            await self._sender.send(CancelOp(ref=self.ref))

    async def result(self) -> R:
        """What the program returned. Raises ProgramFailed, ConnectionLost."""
        while not self.ended:
            await self._wait_news()
        match self._last:
            case Finished(result):
                return self._read_result(result)
            case Failed():
                raise ProgramFailed(self._last)
        raise self._broken or ClientError("the program neither ended nor failed")

    async def events(self) -> AsyncIterator[Event]:
        """Everything, in order: messages, blobs, log pieces and, last, Finished or Failed."""
        while True:
            while self._events:
                yield self._events.popleft()
            if self._broken is not None:
                raise self._broken
            if self._last is not None:
                return
            await self._wait_news()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Raises ProgramFailed after the last message of a program that failed."""
        async for event in self.events():
            match event:
                case Message(text):
                    yield text
                case Blob(data):
                    yield data
        if isinstance(self._last, Failed):
            raise ProgramFailed(self._last)

    async def _wait_news(self) -> None:
        self._raise_refusal()
        await self._news.wait()
        self._news.clear()

    def _raise_refusal(self) -> None:
        refused, self._refused = self._refused, None
        if refused is not None:
            raise refused

    def take(self, frame: Frame) -> None:
        """The connection hands in what the server said about this launch."""
        if type(frame) is MessageFrame:  # nearly all of them
            self._events.append(Message(frame.text))
        else:
            self._take_other(frame)
        self._news.set()

    def _take_other(self, frame: Frame) -> None:
        match frame:
            case ErrorFrame(error=body, retry_after=seconds):
                self._take_refusal(refused(body, None, seconds))
            case StartedFrame(id=id):
                if not self._started.done():
                    self._started.set_result(id)
            case LogFrame(stream=stream, text=text):
                self._events.append(Log(stream, text))
            case BlobFrame(data=data):
                self._events.append(Blob(data))
            case FinishedFrame(result=result):
                self._end(Finished(result))
            case FailedFrame(reason=reason, message=message, traceback=traceback):
                self._end(Failed(reason, message, traceback))

    def _end(self, last: Finished | Failed) -> None:
        self._events.append(last)
        self._last = last

    def _take_refusal(self, refused: RequestRefused) -> None:
        if self._started.done():
            self._refused = refused
        else:
            self.lose(refused)

    def lose(self, error: ClientError) -> None:
        """No more events will come."""
        if not self._started.done():
            self._started.set_exception(error)
            self._started.exception()  # marks it as seen: the launcher may have been cancelled meanwhile
        self._broken = error
        self._news.set()
