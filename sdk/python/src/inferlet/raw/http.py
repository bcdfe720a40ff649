"""HTTP to the outside, as far as the operator and the launcher allow it."""

from collections.abc import Iterable
from typing import NamedTuple

from inferlet.checks import text
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call

OCTETS = "latin-1"
"""Bodies cross the wall as text, a character for each byte."""


class Header(NamedTuple):
    """One line of a request's or an answer's head."""

    name: str
    value: str


class Response(NamedTuple):
    """What a server answered."""

    status: int
    url: str
    """Where it came from, after redirects."""
    headers: list[Header]
    body: bytes


def http_get(url: str, headers: Iterable[tuple[str, str]] = ()) -> Future[Response]:
    """Asks for a page. Statuses such as 404 are answers, not errors."""
    return Reading(call(bound.host.http.http_get, text("url", url), _headers(headers)), _take_response)


def http_post(
    url: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Future[Response]:
    """Sends `body` and gives the answer."""
    octets = bytes(memoryview(body)).decode(OCTETS)
    future = call(bound.host.http.http_post, text("url", url), _headers(headers), octets)
    return Reading(future, _take_response)


def _headers(pairs: Iterable[tuple[str, str]]) -> list[Header]:
    return [Header(text("a header's name", name), text("a header's value", value)) for name, value in pairs]


def _take_response(future: int) -> Response:
    found = bound.host.http.take_response(future)
    headers = [Header(header.name, header.value) for header in found.headers]
    return Response(found.status, found.url, headers, found.body.encode(OCTETS))
