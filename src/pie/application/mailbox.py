"""Messages between a program and whoever launched it, in both directions, bounded.

Towards the client: with a reader attached that is too slow, the program waits; what nobody has to read any
more is kept for late readers, as far as it is short. Towards the program: `post` refuses what does not fit.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from pie.application.futures import Future
from pie.application.line import Line
from pie.core.errors import LimitExceeded
from pie.core.events import Blob, Event, Log, Message

MOST_UNREAD = 4096
MOST_UNREAD_BYTES = 1 << 20
"""Before an attached reader; beyond, the program waits."""
MOST_KEPT = 1024
MOST_KEPT_BYTES = 256 << 10
"""For readers that come later; the last event is kept in any case."""
MOST_POSTS = 1024
MOST_POST_BYTES = 16 << 20


def size_of(event: Event) -> int:
    """Roughly its size in bytes, for bounds."""
    if isinstance(event, Message | Log):
        return len(event.text)
    return len(event.data) if isinstance(event, Blob) else 0


class _Reader:
    """How far one client has read: events and bytes since the beginning."""

    __slots__ = ("bytes", "events", "waiter")

    def __init__(self, events: int, bytes: int) -> None:
        self.events = events
        self.bytes = bytes
        self.waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Outbox:
    """Everything an instance has told the world, as far as it is kept."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque()
        self.kept_bytes = 0
        """Size of the events that are kept."""
        self._events = 0
        self._bytes = 0
        """Put since the beginning."""
        self._readers: list[_Reader] = []
        self._ended = False
        self._on_room: list[Callable[[], None]] = []
        """Wake those who wait for room."""

    @property
    def full(self) -> bool:
        """A reader is attached and has more than its share before it."""
        return any(
            self._events - reader.events >= MOST_UNREAD or self._bytes - reader.bytes >= MOST_UNREAD_BYTES
            for reader in self._readers
        )

    def put(self, event: Event) -> None:
        size = size_of(event)
        self._kept.append(event)
        self._events += 1
        self.kept_bytes += size
        self._bytes += size
        if self._too_much_kept():
            self._trim()
        for reader in self._readers:
            reader.notify()

    def end(self) -> None:
        """Nothing will be put any more."""
        self._ended = True
        self._let_go()
        for reader in self._readers:
            reader.notify()

    async def read(self) -> AsyncIterator[Event]:
        """Every event that is kept, then the new ones, until the end."""
        reader = _Reader(self._events - len(self._kept), self._bytes - self.kept_bytes)
        self._readers.append(reader)
        try:
            if reader.events:
                yield Log("stderr", f"[{reader.events} earlier events were dropped]\n")
            while True:
                while reader.events < self._events:
                    yield self._take(reader)
                if self._ended:
                    return
                reader.waiter = asyncio.get_running_loop().create_future()
                await reader.waiter
        finally:
            self._readers.remove(reader)
            self._room()

    def _take(self, reader: _Reader) -> Event:
        event = self._kept[reader.events - self._events]
        reader.events += 1
        reader.bytes += size_of(event)
        if self._on_room:
            self._room()
        return event

    def when_room(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when it is not full any more, or has ended."""
        self._on_room.append(wake)

    def _room(self) -> None:
        if self._on_room and not self.full:
            self._let_go()

    def _let_go(self) -> None:
        waiting, self._on_room = self._on_room, []
        for wake in waiting:
            wake()

    def _trim(self) -> None:
        """Drops the oldest events that are too many, but none that an attached reader has still to read."""
        read = min((reader.events for reader in self._readers), default=self._events)
        while self._too_much_kept() and self._events - len(self._kept) < read and len(self._kept) > 1:
            self.kept_bytes -= size_of(self._kept.popleft())

    def _too_much_kept(self) -> bool:
        return len(self._kept) > MOST_KEPT or self.kept_bytes > MOST_KEPT_BYTES


class Inbox:
    """What the client has sent and the program has not received."""

    def __init__(self) -> None:
        self._texts: Line[str] = Line()
        self._blobs: Line[bytes] = Line()

    def post(self, message: str | bytes) -> None:
        """Raises `LimitExceeded` when the program does not keep up."""
        self._check_room(len(message))
        if isinstance(message, str):
            self._texts.post(message)
        else:
            self._blobs.post(message)

    def receive(self) -> Future:
        return self._texts.receive()

    def receive_blob(self) -> Future:
        return self._blobs.receive()

    def _check_room(self, size: int) -> None:
        texts, blobs = self._texts, self._blobs
        count = len(texts.messages) + len(blobs.messages)
        if count >= MOST_POSTS or texts.size + blobs.size + size > MOST_POST_BYTES:
            raise LimitExceeded("the program does not receive its messages: its mailbox is full")
