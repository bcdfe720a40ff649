"""One request on one connection to an address that has been checked, and its answer. HTTP/1.1 by h11.

Nothing here looks up names, follows redirects, keeps connections or reads the environment.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Sequence

import certifi
import h11

from pie import __version__
from pie.application.egress_addresses import Address
from pie.application.egress_hosts import Url
from pie.application.egress_messages import Answer, Request
from pie.core.errors import LimitExceeded, Unreachable

MOST_HEAD = 64 << 10
MOST_HEADERS = 256
MOST_INFORMATIONAL = 8
CONNECT_SECONDS = 10.0
"""For one address; then the next one has its turn."""
PIECE = 64 << 10
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
ENCODINGS = ("gzip", "x-gzip", "deflate")

Grow = Callable[[int], None]
"""Told how many bytes more are held; raises where they are too many."""


def make_trust() -> ssl.SSLContext:
    """The machine's certificates and those that come with certifi. Takes some 20 ms."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def exchange(
    request: Request, addresses: Sequence[Address], trust: ssl.SSLContext, most: int, grow: Grow
) -> Answer:
    """The answer; of a redirect only its head. Raises `Unreachable`, and `LimitExceeded` beyond `most`."""
    url = request.url
    reader, writer = await connect(url, addresses, trust if url.scheme == "https" else None)
    try:
        return await _Exchange(reader, writer, url, most, grow).run(request)
    except h11.RemoteProtocolError as error:
        raise Unreachable(f"{url.host} does not speak HTTP as it should: {error}") from None
    except OSError as error:
        raise Unreachable(f"the connection to {url.host} broke: {_why(error)}") from None
    finally:
        writer.transport.abort()


async def connect(
    url: Url, addresses: Sequence[Address], trust: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first address that answers; TLS checks the certificate against the name in the URL."""
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(
                    str(address), url.port, ssl=trust, server_hostname=url.host if trust else None
                )
        except ssl.SSLError as error:
            raise Unreachable(f"no secure connection to {url.host}: {_why(error)}") from None
        except OSError as error:
            failure = error
    raise Unreachable(f"cannot connect to {url.host}, port {url.port}: {_why(failure)}")


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.strerror or str(error)


class _Exchange:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: Url, most: int, grow: Grow
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._url = url
        self._most = most
        self._grow = grow
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)

    async def run(self, request: Request) -> Answer:
        await self._send(request)
        answer = await self._head()
        if answer.location is None:
            await self._read_body(answer)
        return answer

    async def _send(self, request: Request) -> None:
        data = (
            self._http.send(
                h11.Request(method=request.method, target=request.url.target, headers=_all_headers(request))
            )
            or b""
        )
        if request.body:
            data += self._http.send(h11.Data(data=request.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._writer.write(data)
        await self._writer.drain()

    async def _head(self) -> Answer:
        for _ in range(MOST_INFORMATIONAL + 1):
            event = await self._event()
            if isinstance(event, h11.Response) and len(event.headers) > MOST_HEADERS:
                raise Unreachable(f"{self._url.host} sends {len(event.headers)} headers: too many")
            if isinstance(event, h11.Response):
                headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                return Answer(event.status_code, headers)
        raise Unreachable(f"{self._url.host} sends one provisional answer after the other")

    async def _read_body(self, answer: Answer) -> None:
        encoding = (answer.header("content-encoding") or "").strip().lower()
        pieces = self._pieces(answer)
        if encoding in ENCODINGS:
            answer.headers = [
                pair for pair in answer.headers if pair[0] not in ("content-encoding", "content-length")
            ]
            pieces = self._unpacked(pieces)
        async for piece in pieces:
            self._check_size(len(answer.body) + len(piece))
            self._grow(len(piece))
            answer.body += piece

    async def _pieces(self, answer: Answer) -> AsyncIterator[bytes]:
        while isinstance(event := await self._event(), h11.Data):
            answer.received += len(event.data)
            self._check_size(answer.received)
            yield bytes(event.data)

    async def _unpacked(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """In small pieces with breaks between them: a bomb holds nobody up."""
        unpack = zlib.decompressobj(GZIP_OR_ZLIB)
        async for piece in pieces:
            while piece:
                try:
                    yield unpack.decompress(piece, PIECE)
                except zlib.error as error:
                    raise Unreachable(f"the body from {self._url.host} does not unpack: {error}") from None
                piece = unpack.unconsumed_tail
                if unpack.eof:
                    piece, unpack = unpack.unused_data, zlib.decompressobj(GZIP_OR_ZLIB)
                await asyncio.sleep(0)

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(PIECE))
        return event

    def _check_size(self, size: int) -> None:
        if size > self._most:
            raise LimitExceeded(
                f"the answer of {self._url.host} is longer than {self._most} bytes, as many as a program gets"
            )


def _all_headers(request: Request) -> list[tuple[str, str]]:
    given = dict(request.headers)
    ours = [("host", request.url.authority), ("accept-encoding", "gzip, deflate"), ("connection", "close")]
    defaults = [("user-agent", f"pie/{__version__}"), ("accept", "*/*")]
    ours += [pair for pair in defaults if pair[0] not in given]
    if request.method == "POST":
        ours.append(("content-length", str(len(request.body))))
    return [*ours, *request.headers]
