"""Requests and answers of outbound HTTP: which headers a program may send, what a redirect takes along."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pie.application.egress_hosts import Url
from pie.core.errors import InvalidArgument, LimitExceeded, NotPermitted

Headers = tuple[tuple[str, str], ...]

MOST_HEADERS = 64
MOST_HEADER_BYTES = 16 << 10
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
OURS = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
"""Headers that say how bytes travel: what a program wrote there would fool us or the other server."""
HARMLESS = frozenset(["accept", "accept-language", "content-type", "user-agent"])
"""Headers that go along when a redirect leads to another server; the rest may hold keys."""
REDIRECTS = frozenset([301, 302, 303, 307, 308])
KEEP_METHOD = frozenset([307, 308])


@dataclass(frozen=True, slots=True)
class Request:
    """One that has been checked, but for the addresses behind its host."""

    method: str
    url: Url
    headers: Headers
    body: bytes = b""

    def size(self) -> int:
        lines = sum(len(name) + len(value) for name, value in self.headers)
        return len(str(self.url)) + lines + len(self.body)


@dataclass(slots=True)
class Answer:
    """`headers` have names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    """Unpacked."""
    received: int = 0
    """Bytes of the body as they came."""

    def header(self, name: str) -> str | None:
        """The first one of that name."""
        return next((value for found, value in self.headers if found == name), None)

    @property
    def location(self) -> str | None:
        return self.header("location") if self.status in REDIRECTS else None


def check_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Names in lower case. Raises `InvalidArgument` for what a program must not set and for what is none."""
    checked = tuple((_check_name(name), _check_value(name, value)) for name, value in headers)
    size = sum(len(name) + len(value) for name, value in checked)
    if len(checked) > MOST_HEADERS or size > MOST_HEADER_BYTES:
        raise LimitExceeded(
            f"{len(checked)} headers with {size} characters are too many; at most {MOST_HEADERS} with "
            f"{MOST_HEADER_BYTES}"
        )
    return checked


def _check_name(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise InvalidArgument(f"{name[:100]!r} is no name of a header")
    lower = name.lower()
    if lower in OURS or lower.startswith("proxy-"):
        raise InvalidArgument(f"the header {lower} is the server's to set")
    return lower


def _check_value(name: str, value: str) -> str:
    if VALUE.fullmatch(value) is None:
        raise InvalidArgument(f"the header {name} has a line break or another character that none may have")
    return value.strip(" \t")


def follow(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for. Raises what makes it impossible."""
    url = request.url.join(location)
    if (request.url.scheme, url.scheme) == ("https", "http"):
        raise NotPermitted(f"{request.url.host} redirects from https to http ({url}), which is not followed")
    headers = request.headers
    if url.origin != request.url.origin:
        headers = tuple(pair for pair in headers if pair[0] in HARMLESS)
    if status in KEEP_METHOD or request.method == "GET":
        return Request(request.method, url, headers, request.body)
    return Request("GET", url, tuple(pair for pair in headers if pair[0] != "content-type"))
