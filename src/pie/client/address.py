"""Where the server is, and how to speak about it."""

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from pie.client.errors import ServerNotRunning
from pie.core.errors import InvalidArgument
from pie.protocol import DEFAULT_URL


@dataclass(frozen=True, slots=True)
class Address:
    """`url` without a slash at the end."""

    url: str
    api_key: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}

    @property
    def websocket(self) -> str:
        return "ws" + self.url.removeprefix("http")

    @property
    def loopback(self) -> bool:
        """This machine: no proxy in between."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def not_running(self) -> ServerNotRunning:
        return ServerNotRunning(f"no server at {self.url}: start one with `pie serve`")


def find_address(url: str | None, api_key: str | None) -> Address:
    """What is given, else `PIE_SERVER` and `PIE_API_KEY`, else the default port of this machine."""
    found = url or os.environ.get("PIE_SERVER") or DEFAULT_URL
    if "://" not in found:
        found = f"http://{found}"
    if not is_usable(found):
        raise InvalidArgument(f"{found!r} is not the URL of a server; one looks like {DEFAULT_URL}")
    return Address(found.rstrip("/"), api_key or os.environ.get("PIE_API_KEY"))


def is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
