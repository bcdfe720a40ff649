"""A real web server on this machine whose every byte the test decides."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

TLS = Path(__file__).parent / "tls"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    reader: asyncio.StreamReader

    async def client_left(self) -> None:
        with suppress(OSError):
            await self.reader.read()

    def header(self, name: str) -> str | None:
        return next((value for found, value in self.headers if found == name), None)


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Web:
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    pages: dict[str, Answer] = field(default_factory=dict)
    """Answers by path."""
    open: int = 0
    most_open: int = 0
    """Connections at a time."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, body: bytes, status: str = "200 OK", *headers: str) -> None:
        async def write(asked: Asked, writer: asyncio.StreamWriter) -> None:
            del asked
            lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
            writer.write("\r\n".join(lines).encode("latin-1") + body)

        self.pages[path] = write

    def redirect(self, path: str, location: str, status: str = "302 Found") -> None:
        self.answer(path, b"gone", status, f"location: {location}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            asked = await read_request(reader)
            self.asked.append(asked)
            path = asked.line.split()[1].partition("?")[0]
            await self.pages[path](asked, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left, as some tests want it to
        finally:
            self.open -= 1
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lines = [line.partition(":") for line in head[1:-2]]
    headers = [(name.lower(), value.strip()) for name, _, value in lines]
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    return Asked(head[0], headers, await reader.readexactly(length), reader)


@asynccontextmanager
async def serve_web(secure: bool = False) -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0, ssl=certificate() if secure else None)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()


def certificate() -> ssl.SSLContext:
    """For `secure.test` only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    return context


def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(TLS / "certificate.pem"))
