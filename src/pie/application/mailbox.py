"""Messages between a program and whoever launched it, in both directions, bounded.

Towards the client: with a reader attached that is too slow, the program waits; what nobody has to read any
more is kept for late readers, as far as it is short. Towards the program: `post` refuses what does not fit.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Callable

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


class _Place:
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
        self._places: list[_Place] = []
        self._ended = False
        self._on_room: list[Callable[[], None]] = []
        """Wake those who wait for room."""

    @property
    def full(self) -> bool:
        """A reader is attached and has more than its share before it."""
        return any(
            self._events - place.events >= MOST_UNREAD or self._bytes - place.bytes >= MOST_UNREAD_BYTES
            for place in self._places
        )

    def put(self, event: Event) -> None:
        size = size_of(event)
        self._kept.append(event)
        self._events += 1
        self.kept_bytes += size
        self._bytes += size
        if self._too_much_kept():
            self._trim()
        for place in self._places:
            place.notify()

    def end(self) -> None:
        """Nothing will be put any more."""
        self._ended = True
        self._let_go()
        for place in self._places:
            place.notify()

    def read(self) -> "Reader":
        """Every event that is kept, then the new ones, until the end."""
        place = _Place(self._events - len(self._kept), self._bytes - self.kept_bytes)
        self._places.append(place)
        return Reader(self, place)

    async def take(self, place: _Place) -> Event | None:
        """The next one, None after the last."""
        while place.events == self._events:
            if self._ended:
                return None
            place.waiter = asyncio.get_running_loop().create_future()
            await place.waiter
        event = self._kept[place.events - self._events]
        place.events += 1
        place.bytes += size_of(event)
        if self._on_room:
            self._room()
        return event

    def leave(self, place: _Place) -> None:
        self._places.remove(place)
        self._room()

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
        read = min((place.events for place in self._places), default=self._events)
        while self._too_much_kept() and self._events - len(self._kept) < read and len(self._kept) > 1:
            self.kept_bytes -= size_of(self._kept.popleft())

    def _too_much_kept(self) -> bool:
        return len(self._kept) > MOST_KEPT or self.kept_bytes > MOST_KEPT_BYTES


class Reader:
    """The events of an outbox, for one client: from the moment it is made, none is dropped before it.

    It ends when it is closed, or when nobody has it any more, as the generators of `async for` do.
    """

    def __init__(self, outbox: Outbox, place: _Place) -> None:
        self._outbox = outbox
        self._place = place
        self._dropped = place.events
        self._leave = weakref.finalize(self, outbox.leave, place)
        self._leave.atexit = False

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> Event:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            return Log("stderr", f"[{count} earlier events were dropped]\n")
        event = await self._outbox.take(self._place) if self._leave.alive else None
        if event is None:
            self._leave()
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Nothing is kept for it any more."""
        self._leave()


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
