"""The client for programs without asyncio. The server runs on the test's loop, the client in a thread."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from pie.client import Client, ProgramFailed
from pie.core.errors import InvalidArgument
from pie.core.events import Finished
from pie.testing.serving import Served


async def with_client(served: Served, use: Callable[[Client], None]) -> None:
    def work() -> None:
        with Client(served.url) as client:
            use(client)

    await asyncio.to_thread(work)


async def test_a_program_is_launched_iterated_and_gives_its_result(served: Served) -> None:
    def use(client: Client) -> None:
        running = client.launch("echo")
        running.send("one")
        running.send(b"two")
        running.send("stop")
        assert list(running) == ["one", b"two"]
        assert running.result() == "stopped"
        assert running.ended

    await with_client(served, use)


async def test_run_launches_and_waits(served: Served) -> None:
    def use(client: Client) -> None:
        assert client.run("hello") == "done"
        with pytest.raises(ProgramFailed, match="it broke"):
            client.run("fail")

    await with_client(served, use)


async def test_the_listings_are_those_of_the_async_client(served: Served) -> None:
    def use(client: Client) -> None:
        running = client.launch("forever")
        assert [row["id"] for row in client.instances()] == [running.id]
        assert client.models()[0]["id"] == "scripted"
        assert "hello" in client.programs()
        assert client.version()["name"] == "pie"
        client.cancel(running.id)
        with pytest.raises(ProgramFailed):
            running.result()
        assert client.logs(running.id) == []

    await with_client(served, use)


async def test_events_end_with_the_result(served: Served) -> None:
    def use(client: Client) -> None:
        assert list(client.launch("hello").events())[-1] == Finished("done")

    await with_client(served, use)


async def test_leaving_the_client_cancels_what_runs_and_ends_its_thread(served: Served) -> None:
    ids: list[str] = []
    await with_client(served, lambda client: ids.append(client.launch("forever").id))
    await served.application.instance(ids[0]).wait()
    assert served.application.instance(ids[0]).state == "cancelled"
    assert not [thread for thread in threading.enumerate() if thread.name == "pie-client"]


def test_a_client_that_cannot_be_made_leaves_no_thread() -> None:
    with pytest.raises(InvalidArgument):
        Client("ftp://nowhere")
    assert not [thread for thread in threading.enumerate() if thread.name == "pie-client"]


async def test_closing_twice_is_harmless(served: Served) -> None:
    def use(client: Client) -> None:
        client.close()
        client.close()

    await with_client(served, use)
