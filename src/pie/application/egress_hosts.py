"""Patterns of hosts, as operators and launchers write them, and URLs, as programs write them.

A pattern is `HOST` or `HOST:PORT`. HOST is a name, an address (`10.0.0.5`, `[::1]`), `*.example.org` (every
name below, not `example.org` itself) or `*`; PORT is a number or `*`, and without one 80 and 443 are meant.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from pie.core.errors import InvalidArgument

MOST_URL = 8192
SCHEMES = {"http": 80, "https": 443}
NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(\d{1,5})?)?")
UNWANTED = re.compile(r"[\x00-\x20\x7f\\]")
SAFE = "!#$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path or query, letters and digits aside."""


@dataclass(frozen=True, slots=True)
class HostPattern:
    """`port` is None for 80 and 443, 0 for any."""

    host: str
    port: int | None

    def matches(self, host: str, port: int) -> bool:
        return self._matches_port(port) and self._matches_host(host)

    def _matches_port(self, port: int) -> bool:
        return port in SCHEMES.values() if self.port is None else self.port in (0, port)

    def _matches_host(self, host: str) -> bool:
        if self.host.startswith("*."):
            return host.endswith(self.host[1:]) and len(host) >= len(self.host)
        return self.host in ("*", host)


def parse_pattern(text: str) -> HostPattern:
    """Raises `InvalidArgument`, which says what a pattern looks like."""
    host, colon, port = text.rpartition(":") if _has_port(text) else (text, "", "")
    if (host == "*" or _is_host(host.removeprefix("*."))) and (not colon or port == "*" or _is_port(port)):
        return HostPattern(_normal(host), None if not colon else 0 if port == "*" else int(port))
    raise InvalidArgument(
        f"{text!r} is no pattern of hosts: write example.org, *.example.org, 10.0.0.5, [::1] or *, "
        "each with :PORT or :* where other ports than 80 and 443 are meant"
    )


def parse_patterns(texts: Iterable[str]) -> tuple[HostPattern, ...]:
    return tuple(map(parse_pattern, texts))


@dataclass(frozen=True, slots=True)
class Url:
    """Where a request goes. `host` is lower case, without brackets or a final dot."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, as they stand in the request."""

    @property
    def authority(self) -> str:
        """For the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == SCHEMES[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def join(self, location: str) -> "Url":
        """Where a redirect leads."""
        try:
            return parse_url(urljoin(str(self), location))
        except ValueError:
            raise InvalidArgument(f"the redirect to {location[:200]!r} is no URL") from None


def parse_url(text: str) -> Url:
    """Strict, so that nobody can read a URL in another way. Raises `InvalidArgument`."""
    if len(text) > MOST_URL:
        raise InvalidArgument(f"the URL has {len(text)} characters, more than {MOST_URL}")
    if UNWANTED.search(text):
        raise InvalidArgument(f"{text!r} has spaces, backslashes or control characters: percent-encode them")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise InvalidArgument(f"{text!r} is no URL: {error}") from None
    if parts.scheme not in SCHEMES:
        raise InvalidArgument(f"{text!r} must begin with http:// or https://")
    host, port = _authority(parts.netloc, text)
    query = f"?{parts.query}" if parts.query else ""
    target = quote((parts.path or "/") + query, safe=SAFE)
    return Url(parts.scheme, host, port or SCHEMES[parts.scheme], target)


def _authority(netloc: str, url: str) -> tuple[str, int | None]:
    if "@" in netloc:
        raise InvalidArgument(f"a URL cannot carry a name or password: send a header ({url.split('@')[-1]})")
    found = AUTHORITY.fullmatch(netloc)
    if found is None or not _is_host(found[1]) or (found[2] and not _is_port(found[2])):
        raise InvalidArgument(
            f"{url!r} has no valid host: that is an ASCII name (xn--... for others) or an address ([...] "
            "around IPv6), and a port up to 65535"
        )
    return _normal(found[1]), int(found[2]) if found[2] else None


def _has_port(text: str) -> bool:
    return ":" in text and not text.endswith("]")


def _is_port(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 5 and 0 < int(text) <= 65535


def _is_host(text: str) -> bool:
    if text.startswith("["):
        return _normal_v6(text) is not None
    return len(text) <= 253 and NAME.fullmatch(text) is not None


def _normal_v6(text: str) -> str | None:
    try:
        return IPv6Address(text[1:-1]).compressed if text.endswith("]") else None
    except ValueError:
        return None


def _normal(host: str) -> str:
    if host.startswith("["):
        return _normal_v6(host) or host
    return host.lower().removesuffix(".")
