"""One WebSocket: many launches over one connection, each named by the client's `ref`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from starlette.types import Receive, Scope, Send

from pie.application import Instance
from pie.core.errors import InvalidArgument, NotFound, PieError, Timeout
from pie.core.events import Event
from pie.core.ids import InstanceId
from pie.core.programs import DEFAULT_TENANT
from pie.protocol import (
    SUBPROTOCOL,
    BlobOp,
    CancelOp,
    ErrorFrame,
    FailedFrame,
    LaunchOp,
    MessageOp,
    Operation,
    Ref,
)
from pie.server.errors import UNDECODABLE, BadBody, error_body, retry_after
from pie.server.frames import to_frame
from pie.server.launches import to_launch
from pie.server.outbox import Outbox
from pie.server.service import Service

UNSUPPORTED, SLOW = 1003, 1008

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Launched:
    """A launch of this socket that has not ended."""

    instance: Instance
    detach: bool
    relay: asyncio.Task[None]


class Session:
    """Decodes operations and relays events. Knows no socket: messages come in and go out as bytes."""

    def __init__(self, service: Service, outbox: Outbox, tenant: str = DEFAULT_TENANT) -> None:
        self._service = service
        self._outbox = outbox
        self._tenant = tenant
        self._launched: dict[int, Launched] = {}
        self._decode = msgspec.msgpack.Decoder(list[Operation]).decode
        self._decode_one = msgspec.msgpack.Decoder(Operation).decode

    def feed(self, message: bytes) -> None:
        """One WebSocket message: an array of operations. One that is wrong is answered, the others done."""
        try:
            operations = self._decode(message)
        except UNDECODABLE:
            self._feed_one_by_one(message)
        else:
            for operation in operations:
                self._do(operation)

    def _feed_one_by_one(self, message: bytes) -> None:
        try:
            parts = msgspec.msgpack.decode(message, type=list[msgspec.Raw])
        except UNDECODABLE as error:
            self._refuse(None, BadBody(error))
            return
        for raw in parts:
            try:
                operation = self._decode_one(raw)
            except UNDECODABLE as error:
                self._refuse(ref_of(raw), BadBody(error))
            else:
                self._do(operation)

    def _do(self, operation: Operation) -> None:
        try:
            match operation:
                case LaunchOp():
                    self._launch(operation)
                case MessageOp(text=content) | BlobOp(data=content):
                    self._find(operation.ref, operation.id).post(content)
                case CancelOp():
                    self._find(operation.ref, operation.id).cancel()
        except PieError as error:
            self._refuse(operation.ref, error)

    def _launch(self, operation: LaunchOp) -> None:
        if operation.ref in self._launched:
            raise InvalidArgument(f"ref {operation.ref} names a launch that still runs")
        application = self._service.launching()
        launch = to_launch(operation, self._service.settings.limits, self._tenant)
        instance = application.launch(launch)
        relay = asyncio.create_task(self._relay(operation.ref, instance.id, instance.events()))
        self._launched[operation.ref] = Launched(instance, operation.detach, relay)

    async def _relay(self, ref: int, id: InstanceId, events: AsyncIterator[Event]) -> None:
        try:
            async for event in events:
                self._outbox.put(to_frame(ref, event))
                if self._outbox.full:
                    await self._outbox.wait_room()
        except Exception:
            # A border: whatever goes wrong with one launch, its client is told and the others go on.
            log.exception("relaying the events of %s failed", id)
            self._outbox.put(FailedFrame(ref, "internal", "the server lost track of this program's events"))
        finally:
            self._launched.pop(ref, None)

    def _find(self, ref: int | None, id: str | None) -> Instance:
        if id is not None:
            return self._service.application().instance(id, self._tenant)
        if ref is None or ref not in self._launched:
            raise NotFound(f"no launch with ref {ref} runs in this session")
        return self._launched[ref].instance

    def _refuse(self, ref: int | None, error: PieError) -> None:
        self._outbox.put(ErrorFrame(ref, error_body(error), retry_after(error)))

    async def close(self) -> None:
        """The socket is gone: what was not launched with `detach` is cancelled."""
        launched, self._launched = list(self._launched.values()), {}
        for one in launched:
            one.relay.cancel()
            if not one.detach:
                one.instance.cancel()
        await asyncio.gather(*(one.relay for one in launched), return_exceptions=True)


class AnyOp(msgspec.Struct):
    ref: Ref | None = None


def ref_of(raw: msgspec.Raw) -> int | None:
    """The ref of an operation that is not valid otherwise."""
    try:
        return msgspec.msgpack.decode(raw, type=AnyOp).ref
    except UNDECODABLE:
        return None


class SessionRoute:
    """The ASGI end of `/v1/session`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        settings = self._service.settings
        outbox = Outbox(settings.outbox_bytes, settings.stall_seconds)
        session = Session(self._service, outbox, scope["state"]["tenant"])
        sender = asyncio.create_task(send_frames(outbox, send))
        reader = asyncio.create_task(read_operations(session, receive, send))
        try:
            await asyncio.wait((sender, reader), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sender.cancel()
            reader.cancel()
            await session.close()
            report_bugs(await asyncio.gather(sender, reader, return_exceptions=True))


def report_bugs(ends: Iterable[BaseException | None]) -> None:
    """Cancelled or cut off is how sessions end; anything else is ours."""
    for end in ends:
        if end is not None and not isinstance(end, asyncio.CancelledError | OSError):
            log.error("a session ended with a bug", exc_info=end)


async def read_operations(session: Session, receive: Receive, send: Send) -> None:
    """Until the client leaves."""
    while (event := await receive())["type"] == "websocket.receive":
        message = event.get("bytes")
        if message is None:
            reason = "frames are binary msgpack"
            await send({"type": "websocket.close", "code": UNSUPPORTED, "reason": reason})
            return
        session.feed(message)


async def send_frames(outbox: Outbox, send: Send) -> None:
    """Until cancelled, or until the client is too slow, which closes the socket."""

    async def send_bytes(message: bytes) -> None:
        await send({"type": "websocket.send", "bytes": message})

    try:
        await outbox.send_all(send_bytes)
    except Timeout as error:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await send({"type": "websocket.close", "code": SLOW, "reason": str(error)})
