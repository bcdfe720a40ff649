"""The listening socket."""

import asyncio
import socket

import httpx
import pytest

from pie import __version__
from pie.core.errors import OperatorError
from pie.server import ServerSettings, bind
from pie.testing.serving import Served, serve_scripts


async def test_a_port_taken_by_a_pie_server_says_so(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    with pytest.raises(OperatorError) as error:
        await asyncio.to_thread(bind, ServerSettings(port=port))
    assert f"port {port} is taken by a Pie server (version {__version__})" in str(error.value)


def test_a_port_taken_by_another_program_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OperatorError, match="taken by another program: choose a different"):
            bind(ServerSettings(port=port))


async def test_when_the_server_stops_its_port_is_free_again() -> None:
    async with serve_scripts() as served:
        port = int(served.url.rpartition(":")[2])
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{served.url}/livez")).status_code == 200
    bind(ServerSettings(port=port)).close()
