"""`pie:inferlet/http`: requests to the outside, as far as the egress policy lets them."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from pie.application.egress_requests import Requests, Response
from pie.application.guest import Guest
from pie.core.errors import InvalidArgument


def http_get(guest: Guest, url: str, headers: Sequence[tuple[str, str]]) -> int:
    guest.futures.check_room()
    return guest.await_outside(f"http GET {_host(url)}", guest.http.start("GET", url, headers))


def http_post(guest: Guest, url: str, headers: Sequence[tuple[str, str]], body: str) -> int:
    guest.futures.check_room()
    guest.check_size("the body of a request", len(body))
    started = guest.http.start("POST", url, headers, _octets(body))
    return guest.await_outside(f"http POST {_host(url)}", started)


def take_response(guest: Guest, future: int) -> Response:
    found = guest.futures.get(future)
    if not found.done:
        raise InvalidArgument(f"future {future} is not ready: wait for it first")
    return Requests.take(found)


def _host(url: str) -> str:
    """Of an address that is known to be one. What follows the host may be secret."""
    return urlsplit(url).hostname or ""


def _octets(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidArgument("a body has one character from U+0000 to U+00FF for each byte") from None


FUNCTIONS = (http_get, http_post, take_response)
