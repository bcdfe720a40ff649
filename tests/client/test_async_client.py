"""The client for asyncio, against the real server in front of scripted programs."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pie.client import (
    AsyncClient,
    ClientError,
    ConnectionLost,
    NotAuthorized,
    Overloaded,
    ProgramFailed,
    RequestRefused,
    ServerNotRunning,
    VersionMismatch,
)
from pie.core import errors
from pie.core.errors import InvalidArgument, NotFound
from pie.core.events import Finished, Log, Message
from pie.core.programs import Component, Source
from pie.server import ServerSettings
from pie.testing.scripted import ScriptedInstance
from pie.testing.serving import SCRIPTS, Served, hello, serve_scripts


@pytest.fixture
async def client(served: Served) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(served.url) as client:
        yield client


async def test_a_program_is_launched_iterated_and_gives_its_result(client: AsyncClient) -> None:
    running = await client.launch("hello")
    assert running.id
    assert [message async for message in running] == ["hello"]
    assert await running.result() == "done"


async def test_events_tell_everything_in_order(client: AsyncClient) -> None:
    running = await client.launch("hello")
    events = [event async for event in running.events()]
    assert events == [Log("stdout", "greeting\n"), Message("hello"), Finished("done")]


async def test_messages_go_both_ways_as_text_and_as_bytes(client: AsyncClient) -> None:
    running = await client.launch("echo")
    messages = aiter(running)
    for sent in ("one", b"\x00two"):
        await running.send(sent)
        assert await anext(messages) == sent
    await running.send("stop")
    assert await running.result() == "stopped"


async def test_messages_can_be_read_after_the_result(client: AsyncClient) -> None:
    running = await client.launch("hello")
    assert await running.result() == "done"
    assert [message async for message in running] == ["hello"]


async def test_a_failure_is_raised_with_the_programs_traceback_by_result_and_after_the_last_message(
    client: AsyncClient,
) -> None:
    running = await client.launch("fail")
    seen = []
    with pytest.raises(ProgramFailed, match="it broke"):
        async for message in running:
            seen.append(message)
    assert seen == ["before"]
    with pytest.raises(ProgramFailed) as failed:
        await running.result()
    assert (failed.value.reason, failed.value.message) == ("error", "it broke")
    assert "Traceback" in str(failed.value)


async def test_cancel_ends_the_program_and_may_be_repeated(client: AsyncClient) -> None:
    running = await client.launch("forever")
    await running.cancel()
    with pytest.raises(ProgramFailed) as failed:
        await running.result()
    assert failed.value.reason == "cancelled"
    await running.cancel()


async def test_a_cancelled_run_cancels_the_program(served: Served, client: AsyncClient) -> None:
    launched: asyncio.Future[ScriptedInstance] = asyncio.get_running_loop().create_future()

    async def forever(program: ScriptedInstance) -> str:
        launched.set_result(program)
        return str(await program.inbox.get())

    served.application.scripts["forever"] = forever
    task = asyncio.create_task(client.run("forever"))
    program = await launched
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await program.wait()
    assert program.state == "cancelled"


async def test_closing_the_client_cancels_its_programs_but_not_the_detached(served: Served) -> None:
    async with AsyncClient(served.url) as client:
        bound = await client.launch("forever")
        detached = await client.launch("echo", detach=True)
    await served.application.instance(bound.id).wait()
    assert served.application.instance(detached.id).state == "running"


async def test_many_programs_share_one_connection(served: Served, client: AsyncClient) -> None:
    results = await asyncio.gather(*(client.run("hello") for _ in range(256)))
    assert results == ["done"] * 256
    assert len(served.application.instances()) == 256


async def test_a_refused_launch_raises_what_the_server_said(client: AsyncClient) -> None:
    with pytest.raises(RequestRefused) as refused:
        await client.launch("nope")
    assert refused.value.code == "not_found"
    assert "there are: echo, fail" in str(refused.value)


async def test_a_refused_message_is_raised_at_the_next_use(served: Served, client: AsyncClient) -> None:
    running = await client.launch("echo")

    def full(message: str | bytes) -> None:
        raise InvalidArgument(f"no room for {message!r}: the mailbox is full")

    served.application.instance(running.id).post = full  # type: ignore[method-assign]
    await running.send("x")
    with pytest.raises(RequestRefused, match="mailbox is full"):
        await running.result()


async def test_arguments_and_limits_reach_the_server(served: Served, client: AsyncClient) -> None:
    running = await client.launch("hello", "--n", "3", limits={"cpu_seconds": 2.5})
    launch = served.application.instance(running.id).launch
    assert launch.args == ("--n", "3")
    assert launch.limits.cpu_seconds == 2.5


async def test_wrong_arguments_and_limits_are_refused_here(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument, match="no limit is called 'cpu'"):
        await client.launch("hello", limits={"cpu": 1})
    with pytest.raises(InvalidArgument, match="arguments are strings"):
        await client.launch("hello", 3)
    with pytest.raises(InvalidArgument, match="as on a command line"):
        await client.launch("hello", n=3)


async def test_a_python_file_travels_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("send('ä')\n", encoding="utf-8")
    async with serve_scripts({"source": hello}) as served, AsyncClient(served.url) as client:
        for given in (path, str(path)):
            running = await client.launch(given)
            program = served.application.instance(running.id).launch.program
            assert program == Source("send('ä')\n", str(path))


async def test_a_component_is_uploaded_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.wasm"
    path.write_bytes(b"\x00asm")
    digest = hashlib.sha256(b"\x00asm").hexdigest()
    async with serve_scripts({"component": hello}) as served, AsyncClient(served.url) as client:
        running = await client.launch(path)
        await client.launch(path)
        assert served.application.instance(running.id).launch.program == Component(digest)
        assert served.application.uploads == [b"\x00asm"]


async def test_a_file_that_is_not_there_is_said_here(client: AsyncClient, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot read"):
        await client.launch(tmp_path / "nope.py")
    with pytest.raises(InvalidArgument, match=r"neither a \.py file nor"):
        await client.launch(Path(__file__).parent)


async def test_listings_logs_and_cancel_work_without_a_session(served: Served, client: AsyncClient) -> None:
    running = await client.launch("hello")
    await running.result()
    assert [model["id"] for model in await client.models()] == ["scripted"]
    assert await client.programs() == sorted(SCRIPTS)
    assert [row["id"] for row in await client.instances()] == [running.id]
    assert await client.logs(running.id) == [{"stream": "stdout", "text": "greeting\n"}]
    assert (await client.version())["name"] == "pie"
    other = await client.launch("forever")
    await client.cancel(other.id)
    await served.application.instance(other.id).wait()
    with pytest.raises(RequestRefused) as refused:
        await client.cancel("nobody")
    assert refused.value.status == 404


async def test_no_server_is_one_line_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with AsyncClient(url) as client:
        for attempt in (client.run("hello"), client.models()):
            with pytest.raises(ServerNotRunning) as error:
                await attempt
            assert str(error.value) == f"no server at {url}: start one with `pie serve`"


async def test_a_missing_and_a_wrong_key_are_told_apart() -> None:
    async with serve_scripts(settings=ServerSettings(api_key="k")) as served:
        for key, text in ((None, "needs an API key"), ("wrong", "does not take this API key")):
            async with AsyncClient(served.url, key) as client:
                for attempt in (client.run("hello"), client.models()):
                    with pytest.raises(NotAuthorized, match=text):
                        await attempt
        async with AsyncClient(served.url, "k") as client:
            assert await client.run("hello") == "done"


async def test_a_server_of_another_version_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pie.client.connection.SUBPROTOCOL", "pie.session.v99")
    async with AsyncClient(served.url) as client:
        with pytest.raises(VersionMismatch, match="install the same version"):
            await client.run("hello")


async def test_something_else_than_a_pie_server_is_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, AsyncClient(url) as client:
        with pytest.raises(VersionMismatch, match="is not a Pie server"):
            await client.run("hello")


async def test_a_lost_connection_is_raised_and_the_next_launch_connects_again(client: AsyncClient) -> None:
    running = await client.launch("forever")
    assert client._connection is not None
    client._connection._socket.transport.abort()
    with pytest.raises(ConnectionLost):
        await running.result()
    with pytest.raises(ConnectionLost):
        async for _ in running:
            pass
    assert await client.run("hello") == "done"


def test_every_error_of_the_client_is_a_client_error() -> None:
    kinds = (ServerNotRunning, NotAuthorized, VersionMismatch, ConnectionLost, RequestRefused, ProgramFailed)
    assert all(issubclass(kind, ClientError) for kind in kinds)


async def test_a_stream_of_many_messages_arrives_whole_and_in_order() -> None:
    async def count(program: ScriptedInstance) -> str:
        for number in range(5000):
            program.send(str(number))
            if number % 7 == 0:
                await asyncio.sleep(0)
        return ""

    async with serve_scripts({"count": count}) as served, AsyncClient(served.url) as client:
        running = await client.launch("count")
        assert [message async for message in running] == [str(number) for number in range(5000)]


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://h:port", "http://[::1"])
async def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="is not the URL of a server"):
        AsyncClient(url)


async def test_the_environment_says_where_the_server_is(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIE_SERVER", served.url.removeprefix("http://"))
    async with AsyncClient() as client:
        assert await client.run("hello") == "done"


async def test_a_launch_that_is_refused_for_want_of_room_says_when_to_come_back(
    served: Served, client: AsyncClient
) -> None:
    served.application.refusal = errors.Overloaded("too many programs: try again in 7 s", 7)
    with pytest.raises(Overloaded, match="too many programs") as refused:
        await client.launch("hello")
    assert refused.value.retry_after == 7
