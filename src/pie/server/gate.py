"""Who may come in: the API key, and no strange web page in a browser on this machine.

Without a key the server listens on loopback only, where every program of this user may talk to it. A web page
must not: browsers send `Origin` with what pages ask for, and a page that points its own name at 127.0.0.1
(DNS rebinding) shows in `Host`. Both must name this machine.
"""

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pie.core.programs import DEFAULT_TENANT
from pie.protocol import ErrorBody
from pie.server.errors import error_response
from pie.server.settings import ServerSettings

OPEN_PATHS = frozenset({"/livez", "/readyz"})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """Plain ASGI middleware. 401 without the key, 403 for strangers' web pages."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._tenants = [(key.encode(), tenant) for key, tenant in settings.tenants().items()]
        self._local_only = not self._tenants and is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        tenant = self._tenant(headers)
        refusal = self._refusal(scope["path"], headers, tenant)
        if refusal is None:
            scope.setdefault("state", {})["tenant"] = tenant
            await self._app(scope, receive, send)
            return
        status, body = refusal
        ask = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        await error_response(status, body, ask)(scope, receive, send)

    def _tenant(self, headers: Headers) -> str | None:
        """Whose key it is. Takes the same time for each wrong key."""
        if not self._tenants:
            return DEFAULT_TENANT
        given = bearer(headers).encode()
        found = [tenant for key, tenant in self._tenants if hmac.compare_digest(given, key)]
        return found[0] if found else None

    def _refusal(self, path: str, headers: Headers, tenant: str | None) -> tuple[int, ErrorBody] | None:
        if self._local_only and not names_this_machine(headers):
            message = "this server answers only programs of this machine"
            return 403, ErrorBody(message, "caller_error", None, "forbidden")
        if tenant is not None or path in OPEN_PATHS:
            return None
        message = "this server needs its API key: send `Authorization: Bearer KEY`"
        return 401, ErrorBody(message, "caller_error", None, "unauthorized")


def names_this_machine(headers: Headers) -> bool:
    origin = headers.get("origin")
    asked = [f"//{headers.get('host', 'localhost')}"] + ([] if origin is None else [origin])
    return all(is_loopback(host_of(url)) for url in asked)


def host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def bearer(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
