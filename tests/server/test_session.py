"""Many launches over one WebSocket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pie.protocol import SESSION_PATH, SUBPROTOCOL
from pie.server import ServerSettings
from pie.testing.scripted import ScriptedInstance
from pie.testing.serving import SCRIPTS, Served, serve_scripts


class Socket:
    """Frames as plain objects."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.waiting: list[dict[str, Any]] = []

    async def send(self, *operations: Any) -> None:
        await self.socket.send(msgspec.msgpack.encode(operations))

    async def next(self) -> dict[str, Any]:
        while not self.waiting:
            self.waiting += msgspec.msgpack.decode(await self.socket.recv(decode=False))
        return self.waiting.pop(0)

    async def until(self, event: str, ref: int) -> list[dict[str, Any]]:
        """Frames of `ref` up to the event; those of others are kept."""
        found: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        while not found or found[-1]["event"] != event:
            frame = await self.next()
            (found if frame["ref"] == ref else others).append(frame)
        self.waiting = others + self.waiting
        return found


@asynccontextmanager
async def session(served: Served) -> AsyncIterator[Socket]:
    url = served.url.replace("http", "ws") + SESSION_PATH
    async with connect(url, subprotocols=[SUBPROTOCOL], proxy=None) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == SUBPROTOCOL
        yield Socket(socket)


async def test_a_launch_is_told_from_started_to_finished(served: Served) -> None:
    async with session(served) as socket:
        await socket.send({"op": "launch", "ref": 5, "program": "hello"})
        frames = await socket.until("finished", 5)
    assert [frame["event"] for frame in frames] == ["started", "log", "message", "finished"]
    assert frames[-1]["result"] == "done"


async def test_launches_of_one_socket_do_not_mix(served: Served) -> None:
    async with session(served) as socket:
        await socket.send(*({"op": "launch", "ref": ref, "program": "echo"} for ref in range(3)))
        for ref in range(3):
            await socket.send({"op": "message", "ref": ref, "text": f"to {ref}"})
        for ref in range(3):
            assert (await socket.until("message", ref))[-1]["text"] == f"to {ref}"
            await socket.send({"op": "message", "ref": ref, "text": "stop"})
            assert (await socket.until("finished", ref))[-1]["result"] == "stopped"


async def test_blobs_travel_as_bytes(served: Served) -> None:
    async with session(served) as socket:
        await socket.send(
            {"op": "launch", "ref": 1, "program": "echo"}, {"op": "blob", "ref": 1, "data": b"\x00\xff"}
        )
        assert (await socket.until("blob", 1))[-1]["data"] == b"\x00\xff"


async def test_a_failed_program_tells_why_and_where(served: Served) -> None:
    async with session(served) as socket:
        await socket.send({"op": "launch", "ref": 1, "program": "fail"})
        failed = (await socket.until("failed", 1))[-1]
    assert (failed["reason"], failed["message"]) == ("error", "it broke")
    assert "Traceback" in failed["traceback"]


async def test_cancel_is_answered_by_the_programs_end(served: Served) -> None:
    async with session(served) as socket:
        await socket.send({"op": "launch", "ref": 1, "program": "forever"})
        await socket.until("message", 1)
        await socket.send({"op": "cancel", "ref": 1})
        assert (await socket.until("failed", 1))[-1]["reason"] == "cancelled"


async def test_when_the_socket_goes_its_programs_are_cancelled_but_not_the_detached(served: Served) -> None:
    async with session(served) as socket:
        await socket.send(
            {"op": "launch", "ref": 1, "program": "forever"},
            {"op": "launch", "ref": 2, "program": "echo", "detach": True},
        )
        bound = (await socket.until("started", 1))[-1]["id"]
        detached = (await socket.until("started", 2))[-1]["id"]
    await served.application.instance(bound).wait()
    assert served.application.instance(bound).state == "cancelled"
    assert served.application.instance(detached).state == "running"


async def test_a_socket_that_breaks_off_without_a_farewell_counts_as_gone(served: Served) -> None:
    async with session(served) as socket:
        await socket.send({"op": "launch", "ref": 1, "program": "forever"})
        id = (await socket.until("started", 1))[-1]["id"]
        socket.socket.transport.abort()
        await served.application.instance(id).wait()
    assert served.application.instance(id).state == "cancelled"


async def test_an_instance_of_another_socket_is_reached_by_its_id(served: Served) -> None:
    async with session(served) as owner, session(served) as other:
        await owner.send({"op": "launch", "ref": 1, "program": "echo"})
        id = (await owner.until("started", 1))[-1]["id"]
        await other.send({"op": "message", "id": id, "text": "stop"})
        assert (await owner.until("finished", 1))[-1]["result"] == "stopped"


@pytest.mark.parametrize(
    ("operation", "ref", "code"),
    [
        ({"op": "launch", "ref": 1, "program": "nope"}, 1, "not_found"),
        ({"op": "launch", "ref": 1}, 1, "invalid_argument"),
        ({"op": "launch", "ref": 1, "program": 3}, 1, "invalid_argument"),
        ({"op": "launch", "ref": 1, "program": "x", "limits": {"cpu_seconds": 0}}, 1, "invalid_argument"),
        ({"op": "launch", "program": "hello"}, None, "invalid_argument"),
        ({"op": "dance", "ref": 4}, 4, "invalid_argument"),
        ({"op": "message", "ref": 9, "text": "x"}, 9, "not_found"),
        ({"op": "cancel", "id": "nobody"}, None, "not_found"),
        ({"op": "cancel"}, None, "not_found"),
        (7, None, "invalid_argument"),
    ],
)
async def test_a_wrong_operation_is_answered_and_its_neighbours_are_done(
    served: Served, operation: Any, ref: int | None, code: str
) -> None:
    async with session(served) as socket:
        await socket.send(operation, {"op": "launch", "ref": 100, "program": "hello"})
        frame = await socket.next()
        assert (frame["event"], frame["ref"], frame["error"]["code"]) == ("error", ref, code)
        assert (await socket.until("finished", 100))[-1]["result"] == "done"


async def test_a_ref_names_one_running_launch_only(served: Served) -> None:
    async with session(served) as socket:
        await socket.send({"op": "launch", "ref": 1, "program": "forever"})
        await socket.until("message", 1)
        await socket.send({"op": "launch", "ref": 1, "program": "hello"})
        assert (await socket.until("error", 1))[-1]["error"]["code"] == "invalid_argument"


async def test_what_is_not_msgpack_is_answered(served: Served) -> None:
    async with session(served) as socket:
        await socket.socket.send(b"\xc1")
        assert (await socket.next())["error"]["code"] == "invalid_argument"
        await socket.socket.send(msgspec.msgpack.encode({"op": "cancel"}))
        assert (await socket.next())["error"]["code"] == "invalid_argument"


async def test_text_frames_end_the_session(served: Served) -> None:
    async with session(served) as socket:
        await socket.socket.send("hello")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


async def test_a_message_larger_than_allowed_ends_the_session_and_its_programs() -> None:
    async with serve_scripts(settings=ServerSettings(frame_bytes=1000)) as served, session(served) as socket:
        await socket.send({"op": "launch", "ref": 1, "program": "forever"})
        id = (await socket.until("started", 1))[-1]["id"]
        await socket.send({"op": "message", "ref": 1, "text": "x" * 2000})
        await served.application.instance(id).wait()
        assert served.application.instance(id).state == "cancelled"


async def test_a_draining_server_refuses_launches_in_open_sessions(served: Served) -> None:
    async with session(served) as socket:
        served.service.drain()
        await socket.send({"op": "launch", "ref": 1, "program": "hello"})
        assert (await socket.until("error", 1))[-1]["error"]["code"] == "unavailable"


async def test_a_client_that_reads_nothing_loses_its_session_and_the_server_stays_bounded() -> None:
    piece = "x" * 100_000
    launched: asyncio.Future[ScriptedInstance] = asyncio.get_running_loop().create_future()

    async def flood(program: ScriptedInstance) -> str:
        launched.set_result(program)
        while True:
            program.send(piece)
            await asyncio.sleep(0)

    settings = ServerSettings(outbox_bytes=100_000, stall_seconds=0.2)
    async with serve_scripts({**SCRIPTS, "flood": flood}, settings) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1000)
        writer.write(handshake())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(masked(msgspec.msgpack.encode([{"op": "launch", "ref": 1, "program": "flood"}])))
        program = await launched
        await program.wait()
        assert program.state == "cancelled"
        writer.transport.abort()


def handshake() -> bytes:
    lines = (
        f"GET {SESSION_PATH} HTTP/1.1",
        "host: localhost",
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def masked(payload: bytes) -> bytes:
    """A client's binary frame; a mask of zeros changes nothing."""
    assert len(payload) < 126
    return bytes([0x82, 0x80 | len(payload), 0, 0, 0, 0]) + payload
