"""HTTP to the outside, as far as the operator and the launcher of the program allow it.

    from inferlet import http

    async def main():
        page = await http.get("https://api.example.org/items", params={"limit": 3})
        return page.raise_for_status().json()

Statuses such as 404 are answers, not errors. What prevents an answer is an exception: `NotPermitted` (the
host is not allowed: `pie run --allow-host`), `Unreachable`, `Timeout`, `LimitExceeded` (too long). For a time
of your own there is `asyncio.timeout`, which cancels the request.
"""

import json as jsons
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlencode, urlsplit, urlunsplit

from inferlet import raw
from inferlet.errors import InferletError, InvalidArgument

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


class StatusError(InferletError):
    """Raised by `raise_for_status`; `response` is the answer."""

    def __init__(self, response: "Response") -> None:
        super().__init__(f"{response.url} answered with status {response.status}: {response.text[:200]}")
        self.response = response


class Headers(Mapping[str, str]):
    """Headers by name, in any case; one that came several times is joined with commas."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        """Each one as it came, with its name in lower case."""
        self._joined: dict[str, str] = {}
        for name, value in pairs:
            before = self._joined.get(name.lower())
            self._joined[name.lower()] = value if before is None else f"{before}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._joined[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined)

    def __len__(self) -> int:
        return len(self._joined)

    def __repr__(self) -> str:
        return f"Headers({self._joined!r})"


class Response:
    """What a server answered."""

    def __init__(self, status: int, url: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.url = url
        """Where it came from, after redirects."""
        self.headers = headers
        self.body = body
        """Unpacked, where it came packed."""

    @property
    def ok(self) -> bool:
        """The status is below 400."""
        return self.status < 400

    @property
    def text(self) -> str:
        """The body in the encoding that the server names, else UTF-8; what does not fit becomes "\\ufffd"."""
        try:
            return self.body.decode(self._charset(), errors="replace")
        except LookupError:
            return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises `InvalidArgument` with the beginning of what it is instead."""
        try:
            return jsons.loads(self.body)
        except ValueError as error:
            raise InvalidArgument(f"{self.url} sent no JSON ({error}): {self.text[:200]!r}") from None

    def raise_for_status(self) -> Self:
        """Itself. Raises `StatusError` for a status from 400 on."""
        if not self.ok:
            raise StatusError(self)
        return self

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.url!r}, {len(self.body)} bytes)"

    def _charset(self) -> str:
        _, _, rest = self.headers.get("content-type", "").partition("charset=")
        return rest.partition(";")[0].strip(" \"'") or "utf-8"


async def get(
    url: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Asks for `url`. `params` are added to its query."""
    return _response(await raw.http_get(_full(url, params), _pairs(headers)))


async def post(
    url: str,
    *,
    json: Any = None,
    data: str | bytes | Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Sends `json` (any value that JSON can carry), or `data`: bytes, text, or the fields of a form."""
    if json is not None and data is not None:
        raise InvalidArgument("post takes json or data, not both")
    kind, body = _body(json, data)
    pairs = _pairs(headers)
    if kind and "content-type" not in {name.lower() for name, _ in pairs}:
        pairs.append(("content-type", kind))
    return _response(await raw.http_post(_full(url, params), pairs, body))


def _body(json: Any, data: str | bytes | Mapping[str, Any] | None) -> tuple[str, bytes]:
    """Its type, and its bytes."""
    if json is not None:
        return JSON_TYPE, jsons.dumps(json, ensure_ascii=False).encode()
    if data is None or isinstance(data, bytes):
        return "", data or b""
    if isinstance(data, str):
        return "text/plain; charset=utf-8", data.encode()
    return FORM_TYPE, urlencode(data, doseq=True).encode()


def _full(url: str, params: Mapping[str, Any] | None) -> str:
    if params:
        url, hash_sign, fragment = url.partition("#")
        url += ("&" if "?" in url else "?") + urlencode(params, doseq=True) + hash_sign + fragment
    return url if url.isascii() else _with_ascii_host(url)


def _with_ascii_host(url: str) -> str:
    """`bücher.example` as the network knows it: `xn--bcher-kva.example`."""
    parts = urlsplit(url)
    try:
        return urlunsplit(parts._replace(netloc=parts.netloc.encode("idna").decode()))
    except UnicodeError as error:
        raise InvalidArgument(f"{parts.netloc!r} is no host: {error}") from None


def _pairs(headers: Mapping[str, str] | None) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in (headers or {}).items()]


def _response(found: raw.Response) -> Response:
    headers = Headers([(header.name, header.value) for header in found.headers])
    return Response(found.status, found.url, headers, found.body)
