"""A server that stops: what runs gets an answer, and everything is given back."""

import asyncio

from pie.client import AsyncClient
from pie.core.events import Failed
from pie.testing.serving import serve_scripts


async def test_clients_get_the_end_of_their_programs_before_their_connection_closes() -> None:
    async with serve_scripts() as served:
        client = AsyncClient(served.url)
        running = [await client.launch("forever") for _ in range(20)]
        served.service.drain()
    ends = [[event async for event in one.events()][-1] for one in running]
    assert all(isinstance(end, Failed) and end.reason == "cancelled" for end in ends)
    await client.close()


async def test_after_a_server_nothing_is_left_on_the_loop() -> None:
    before = asyncio.all_tasks()
    async with serve_scripts() as served, AsyncClient(served.url) as client:
        await client.run("hello")
        await client.launch("forever")
    assert asyncio.all_tasks() == before
