"""`pie run --server`: the program runs on a server and is cancelled when we leave."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pie.cli.run import Order
from pie.cli.show import show_job
from pie.cli.trace_file import write_trace
from pie.client import AsyncClient, AsyncRunning
from pie.core.events import Event


@dataclass(frozen=True, slots=True)
class RemoteJob:
    running: AsyncRunning[Any]

    def events(self) -> AsyncIterator[Event]:
        return self.running.events()

    async def post(self, line: str) -> None:
        await self.running.send(line)

    async def cancel(self) -> None:
        await self.running.cancel()


async def run_there(order: Order, server: str, api_key: str | None) -> int:
    async with AsyncClient(server, api_key) as client:
        program = order.path or order.program
        running = await client.launch(program, *order.args, limits=wire_limits(order))
        try:
            return await show_job(RemoteJob(running), order.read_input)
        finally:
            if order.trace is not None:
                write_trace(order.trace, await client.trace(running.id))


def wire_limits(order: Order) -> dict[str, Any] | None:
    """As the protocol names them; it counts memory in bytes."""
    asked: dict[str, Any] = dict(order.limits)
    if "memory_mib" in asked:
        asked["memory_bytes"] = int(asked.pop("memory_mib")) << 20
    if "page_limit" in asked:
        asked["pages"] = asked.pop("page_limit")
    if order.hosts is not None:
        asked["hosts"] = order.hosts
    return asked or None
