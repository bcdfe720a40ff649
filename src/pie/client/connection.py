"""One WebSocket to the server, shared by all launches of a client."""

import asyncio
import itertools
from collections.abc import Callable
from typing import TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from pie import __version__
from pie.client.address import Address
from pie.client.errors import (
    ClientError,
    ConnectionLost,
    NotAuthorized,
    RequestRefused,
    VersionMismatch,
    refused,
)
from pie.client.running import AsyncRunning
from pie.protocol import (
    SESSION_PATH,
    SUBPROTOCOL,
    CancelOp,
    ErrorAnswer,
    ErrorBody,
    Frame,
    LaunchOp,
    Operation,
)

R = TypeVar("R")
OPEN_SECONDS = 10
LARGEST_MESSAGE = 64 << 20


class Connection:
    """Opened by `open_connection`. Operations that come together travel together."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[Frame]).decode
        self._refs = itertools.count(1)
        self._running: dict[int, AsyncRunning[object]] = {}
        self._waiting: list[Operation] = []
        self._sending = asyncio.Lock()
        self._reader = asyncio.create_task(self._read())

    @property
    def open(self) -> bool:
        return not self._reader.done()

    async def launch(
        self, make_op: Callable[[int], LaunchOp], read_result: Callable[[str], R]
    ) -> AsyncRunning[R]:
        """Returns when the server has started it."""
        ref = next(self._refs)
        running = AsyncRunning(self, ref, read_result)
        self._running[ref] = running  # type: ignore[assignment]  # the connection never asks for results
        try:
            await self.send(make_op(ref))
            await running.wait_started()
        except asyncio.CancelledError:
            # Nobody waits for it any more, and the server may have started it.
            await self.send(CancelOp(ref=ref))
            raise
        finally:
            if not running.started:
                self._running.pop(ref, None)
        return running

    async def send(self, operation: Operation) -> None:
        """Whoever holds the lock sends what the others have put down meanwhile."""
        self._waiting.append(operation)
        async with self._sending:
            if not self._waiting:
                return
            batch, self._waiting = self._waiting, []
            try:
                await self._socket.send(self._encode(batch))
            except ConnectionClosed as closed:
                raise lost(closed) from None

    async def _read(self) -> None:
        try:
            while True:
                message = await self._socket.recv(decode=False)
                for frame in self._decode(message):
                    self._dispatch(frame)
        except ConnectionClosed as closed:
            self._lose_all(lost(closed))
        except msgspec.DecodeError as error:
            self._lose_all(VersionMismatch(f"the server said something this client does not know: {error}"))

    def _dispatch(self, frame: Frame) -> None:
        running = self._running.get(frame.ref) if frame.ref is not None else None
        if running is None:
            return  # about a program that has ended meanwhile, or whose launcher gave up
        running.take(frame)
        if running.ended:
            del self._running[running.ref]

    def _lose_all(self, error: ClientError) -> None:
        running, self._running = self._running, {}
        for one in running.values():
            one.lose(error)

    async def close(self) -> None:
        """The server cancels what was not launched with `detach`."""
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)


def lost(closed: ConnectionClosed) -> ConnectionLost:
    reason = closed.rcvd.reason if closed.rcvd is not None else ""
    return ConnectionLost("the connection to the server was lost" + (f": {reason}" if reason else ""))


async def open_connection(address: Address) -> Connection:
    """Raises ServerNotRunning, NotAuthorized, VersionMismatch, RequestRefused."""
    try:
        socket = await connect(
            address.websocket + SESSION_PATH,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers=address.headers,
            compression=None,
            open_timeout=OPEN_SECONDS,
            max_size=LARGEST_MESSAGE,
            proxy=None if address.loopback else True,
        )
    except InvalidStatus as refused:
        raise refusal(refused.response.status_code, bytes(refused.response.body or b""), address) from None
    except (InvalidHandshake, InvalidMessage):
        raise VersionMismatch(f"{address.url} is not a Pie server") from None
    except (OSError, TimeoutError):
        raise address.not_running() from None
    await check_version(socket)
    return Connection(socket)


async def check_version(socket: ClientConnection) -> None:
    if socket.subprotocol == SUBPROTOCOL:
        return
    theirs = socket.response.headers.get("x-pie-version", "unknown") if socket.response else "unknown"
    await socket.close()
    raise VersionMismatch(
        f"the server is Pie {theirs} and this client {__version__}, and they do not understand each other: "
        "install the same version on both sides"
    )


def refusal(status: int, body: bytes, address: Address, retry_after: str = "") -> ClientError:
    """The server's answer with a status of 400 or more, as an exception."""
    try:
        error = msgspec.json.decode(body, type=ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RequestRefused(ErrorBody(f"{address.url} answered with status {status}", "unknown"), status)
    if status == 401:
        hint = "give it with --api-key, PIE_API_KEY or api_key=..."
        wrong = "does not take this API key" if address.api_key else "needs an API key"
        return NotAuthorized(f"the server at {address.url} {wrong}: {hint}")
    return refused(error, status, float(retry_after) if retry_after.isdecimal() else None)
