"""The client for programs without asyncio: the same client, run in a background thread."""

from collections.abc import Iterator
from typing import Any, Generic, Self, TypeVar

from pie.client.async_client import AsyncClient
from pie.client.launchable import Launchable
from pie.client.loop_thread import LoopThread
from pie.client.running import AsyncRunning
from pie.core.events import Event

R = TypeVar("R")
T = TypeVar("T")


class Running(Generic[R]):
    """Iterate over it for the program's messages (`str`, or `bytes` for blobs); `result()` waits."""

    def __init__(self, loop: LoopThread, running: AsyncRunning[R]) -> None:
        self._loop = loop
        self._running = running

    @property
    def id(self) -> str:
        return self._running.id

    @property
    def ended(self) -> bool:
        return self._running.ended

    def send(self, message: str | bytes) -> None:
        self._loop.call(self._running.send(message))

    def cancel(self) -> None:
        self._loop.call(self._running.cancel())

    def result(self) -> R:
        """What the program returned. Raises ProgramFailed, ConnectionLost."""
        return self._loop.call(self._running.result())

    def events(self) -> Iterator[Event]:
        """Everything, in order: messages, blobs, log pieces and, last, Finished or Failed."""
        return self._each(self._running.events())

    def __iter__(self) -> Iterator[str | bytes]:
        return self._each(aiter(self._running))

    def _each(self, coming: Any) -> Iterator[Any]:
        async def take() -> Any:
            return await anext(coming, None)

        while (item := self._loop.call(take())) is not None:
            yield item


class Client:
    """Talks to one server. `AsyncClient` says what the methods do.

    with Client() as client:
        for message in client.launch("text-completion", "--prompt", "Once upon a time"):
            print(message, end="")
    """

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._loop = LoopThread("pie-client")
        try:
            self._client = self._loop.call(make_client(url, api_key))
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """What still runs and was not launched with `detach` is cancelled by the server."""
        if not self._loop.closed:
            self._loop.call(self._client.close())
            self._loop.close()

    def launch(
        self,
        program: Launchable,
        *args: Any,
        limits: dict[str, Any] | None = None,
        detach: bool = False,
        **kwargs: Any,
    ) -> Running[Any]:
        started = self._client.launch(program, *args, limits=limits, detach=detach, **kwargs)
        return Running(self._loop, self._loop.call(started))

    def run(self, program: Launchable, *args: Any, **kwargs: Any) -> Any:
        return self._loop.call(self._client.run(program, *args, **kwargs))

    def models(self) -> list[dict[str, Any]]:
        return self._loop.call(self._client.models())

    def programs(self) -> list[str]:
        return self._loop.call(self._client.programs())

    def instances(self) -> list[dict[str, Any]]:
        return self._loop.call(self._client.instances())

    def statistics(self) -> dict[str, Any]:
        return self._loop.call(self._client.statistics())

    def logs(self, id: str) -> list[dict[str, str]]:
        return self._loop.call(self._client.logs(id))

    def trace(self, id: str) -> dict[str, Any]:
        return self._loop.call(self._client.trace(id))

    def cancel(self, id: str) -> None:
        self._loop.call(self._client.cancel(id))

    def version(self) -> dict[str, str]:
        return self._loop.call(self._client.version())


async def make_client(url: str | None, api_key: str | None) -> AsyncClient:
    """On the loop, where its locks and sockets belong."""
    return AsyncClient(url, api_key)
