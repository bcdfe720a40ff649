"""Server-sent events: `data: {json}`, comment pings while nothing happens, `data: [DONE]` at the end."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pie.core.events import Event
from pie.server.frames import to_json
from pie.server.settings import ServerSettings


class EventStream(Response):
    """Numbers events from 1, leaves out the first `skip`. Stops when the client leaves or takes nothing."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[Event], skip: int, settings: ServerSettings) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._events = events
        self._skip = skip
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        sender = asyncio.create_task(self._send_all(send))
        watcher = asyncio.create_task(wait_gone(receive))
        try:
            await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watcher.cancel()
            if not sender.done():
                sender.cancel()
            await asyncio.gather(sender, watcher, return_exceptions=True)

    async def _send_all(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        async for piece in self._pieces():
            async with asyncio.timeout(self._settings.stall_seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        number = 0
        async for event in with_pauses(self._events, self._settings.ping_seconds):
            if event is None:
                yield b": ping\n\n"
                continue
            number += 1
            if number > self._skip:
                yield b"id: %d\ndata: %s\n\n" % (number, msgspec.json.encode(to_json(event)))


async def with_pauses(events: AsyncIterator[Event], seconds: float) -> AsyncIterator[Event | None]:
    """The events, and None whenever `seconds` pass without one."""

    async def take() -> Event | None:
        return await anext(events, None)

    coming = asyncio.create_task(take())
    try:
        while True:
            done, _ = await asyncio.wait((coming,), timeout=seconds)
            if not done:
                yield None
                continue
            event = coming.result()
            if event is None:
                return
            yield event
            coming = asyncio.create_task(take())
    finally:
        coming.cancel()


async def wait_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
