"""The client for asyncio."""

import asyncio
from typing import Any, Self

import msgspec

from pie.client.address import find_address
from pie.client.connection import Connection, open_connection
from pie.client.launchable import Launchable, Upload, to_body, understand
from pie.client.requests import Requests
from pie.client.running import AsyncRunning
from pie.core.programs import Component, Program
from pie.protocol import LaunchOp


class AsyncClient:
    """Talks to one server; connects at the first launch, and again after the connection was lost.

        async with AsyncClient() as client:
            running = await client.launch("text-completion", "--prompt", "Once upon a time")
            async for message in running:
                print(message, end="")

    `url` and `api_key` default to `PIE_SERVER` and `PIE_API_KEY`, then to this machine's default port.
    Everything raises ServerNotRunning, NotAuthorized, VersionMismatch or RequestRefused (`client.errors`).
    """

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self.address = find_address(url, api_key)
        self._requests = Requests(self.address)
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._uploaded: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """What still runs and was not launched with `detach` is cancelled by the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        await self._requests.close()

    async def launch(
        self,
        program: Launchable,
        *args: Any,
        limits: dict[str, Any] | None = None,
        detach: bool = False,
        **kwargs: Any,
    ) -> AsyncRunning[Any]:
        """Starts a program: a standard inferlet's name, a `.py` or `.wasm` path, or a plain function.

        `args` are the program's arguments as strings; for a function they are its own, and its result
        comes back as a value. `limits`: any of memory_bytes, cpu_seconds, wall_seconds, calls_in_flight,
        message_bytes. With `detach` the program outlives this client.
        """
        found, strings, read_result = understand(program, args, kwargs)
        body = to_body(await self._ensure_uploaded(found), strings, limits)
        fields = msgspec.structs.asdict(body)
        connection = await self._connect()
        return await connection.launch(lambda ref: LaunchOp(ref=ref, detach=detach, **fields), read_result)

    async def run(self, program: Launchable, *args: Any, **kwargs: Any) -> Any:
        """Launches, waits, and gives the result. Cancelled when the waiting task is. Raises ProgramFailed."""
        running = await self.launch(program, *args, **kwargs)
        try:
            return await running.result()
        except asyncio.CancelledError:
            await running.cancel()
            raise

    async def models(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._requests.get("/v1/models"))["data"]
        return found

    async def programs(self) -> list[str]:
        """Names of the standard inferlets."""
        found: list[str] = (await self._requests.get("/v1/programs"))["programs"]
        return found

    async def instances(self) -> list[dict[str, Any]]:
        """Running and recently finished ones."""
        found: list[dict[str, Any]] = (await self._requests.get("/v1/instances"))["instances"]
        return found

    async def statistics(self) -> dict[str, Any]:
        """What the server does just now, and what each program is doing."""
        found: dict[str, Any] = await self._requests.get("/v1/statistics")
        return found

    async def logs(self, id: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = (await self._requests.get(f"/v1/instances/{id}/logs"))["logs"]
        return found

    async def trace(self, id: str) -> dict[str, Any]:
        """What a program did so far, in the trace event format that https://ui.perfetto.dev shows."""
        found: dict[str, Any] = await self._requests.get(f"/v1/instances/{id}/trace")
        return found

    async def cancel(self, id: str) -> None:
        await self._requests.post(f"/v1/instances/{id}/cancel")

    async def version(self) -> dict[str, str]:
        found: dict[str, str] = await self._requests.get("/version")
        return found

    async def _connect(self) -> Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.open:
                self._connection = await open_connection(self.address)
            return self._connection

    async def _ensure_uploaded(self, program: Program | Upload) -> Program:
        if not isinstance(program, Upload):
            return program
        if program.digest not in self._uploaded:
            await self._requests.post("/v1/programs", program.wasm)
            self._uploaded.add(program.digest)
        return Component(program.digest)
