"""Every answer carries `x-request-id`: the client's own, or a fresh one."""

import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

USABLE = re.compile(r"[\w.:-]{1,128}")
ANSWERS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class RequestId:
    """Plain ASGI middleware; handlers find it in `request.state.request_id`."""

    def __init__(self, app: ASGIApp, version: str) -> None:
        self._app = app
        self._version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if USABLE.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] in ANSWERS:
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                headers["x-request-id"] = request_id
                headers["x-pie-version"] = self._version
                message["headers"] = headers.raw
            await send(message)

        await self._app(scope, receive, send_with_id)
