"""The socket, and uvicorn on it. Signals stay with whoever called."""

import asyncio
import contextlib
import errno
import http.client
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from pie import __version__
from pie.core.errors import InvalidArgument, OperatorError
from pie.server.gate import is_loopback
from pie.server.settings import ServerSettings

DATE_SECONDS = 1
CLOSE_SECONDS = 2
"""How long connections get to take their last bytes when the server stops."""


def bind(settings: ServerSettings) -> socket.socket:
    """The listening socket. Raises OperatorError in one line: address refused, taken (by whom), not ours."""
    check_address(settings)
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    give_up_on_dead_clients(listening, settings.stall_seconds)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OperatorError(why_not_bound(error, host, port)) from None
    listening.setblocking(False)
    return listening


def check_address(settings: ServerSettings) -> None:
    if is_loopback(settings.host) or settings.tenants() or settings.insecure:
        return
    raise InvalidArgument(
        f"others can reach {settings.host}: set an API key (--api-key or PIE_API_KEY), or say --insecure"
    )


def give_up_on_dead_clients(listening: socket.socket, seconds: float) -> None:
    """The kernel drops a connection whose client takes nothing for twice the time we wait ourselves; the
    accepted sockets inherit it. Without it, a stuck client keeps its connection for ever (Linux only)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(2000 * seconds))


def why_not_bound(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by {who_listens(host, port)}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has: choose one above 1023 with --port"
    return f"cannot listen on {host}: {error.strerror or error}"


def who_listens(host: str, port: int) -> str:
    """Asks; a Pie server says so in every answer."""
    asking = http.client.HTTPConnection("127.0.0.1" if host in ("0.0.0.0", "::") else host, port, timeout=1)
    version = None
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(asking):
        asking.request("GET", "/livez")
        version = asking.getresponse().headers["x-pie-version"]
    if version is None:
        return "another program: choose a different one with --port"
    return f"a Pie server (version {version}): use it with `pie run --server`, or choose another with --port"


class _Uvicorn(uvicorn.Server):
    """Leaves signals alone, tells when it is ready, and sleeps until it is stopped instead of polling."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopped.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        """`on_tick(0)` renews the `date` header."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), DATE_SECONDS)


class Listener:
    """Serves `app` on a bound socket for as long as its context is open; then connections are closed."""

    def __init__(self, app: ASGIApp, listening: socket.socket, settings: ServerSettings) -> None:
        self._socket = listening
        self._uvicorn = _Uvicorn(configure(app, settings))
        self.url = url_of(listening)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]))
        up = asyncio.create_task(self._uvicorn.up.wait())
        try:
            await asyncio.wait((task, up), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                yield
        finally:
            up.cancel()
            self._uvicorn.stop()
            await task


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def configure(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    """`websockets-sansio` and no compression: a third of the processor time for each frame."""
    return uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=settings.frame_bytes,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        headers=[("server", f"pie/{__version__}")],
    )
