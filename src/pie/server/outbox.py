"""Frames on their way to one client. What becomes ready in one turn of the loop travels as one message."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from pie.core.errors import Timeout
from pie.protocol import Frame


class Outbox:
    """Bounded: whoever can wait asks `wait_room` before it puts more."""

    def __init__(self, limit_bytes: int, stall_seconds: float) -> None:
        self._limit_bytes = limit_bytes
        self._stall_seconds = stall_seconds
        self._encode = msgspec.msgpack.Encoder().encode
        self._frames: list[msgspec.Raw] = []
        self._bytes = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def put(self, frame: Frame) -> None:
        """Never waits; may go over the bound by what the caller puts before its next `wait_room`."""
        encoded = self._encode(frame)
        self._frames.append(msgspec.Raw(encoded))
        self._bytes += len(encoded)
        self._ready.set()
        if self._bytes > self._limit_bytes:
            self._room.clear()

    @property
    def full(self) -> bool:
        return self._bytes > self._limit_bytes

    async def wait_room(self) -> None:
        await self._room.wait()

    async def send_all(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Sends until cancelled. Raises Timeout when the client takes nothing for `stall_seconds`."""
        while True:
            await self._ready.wait()
            await self.flush(send)

    async def flush(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Sends what is there as one message; does nothing when nothing is."""
        self._ready.clear()
        if not self._frames:
            return
        message = self._encode(self._frames)
        self._frames = []
        self._bytes = 0
        self._room.set()
        try:
            async with asyncio.timeout(self._stall_seconds):
                await send(message)
        except TimeoutError:
            raise Timeout(f"the client took nothing for {self._stall_seconds:g} s") from None
