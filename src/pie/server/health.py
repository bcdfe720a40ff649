"""Is it alive, can it start a program now, and which version is it."""

import platform

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pie import __version__
from pie.protocol import SUBPROTOCOL
from pie.server.service import Service


class Health:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def live(self, request: Request) -> Response:
        """200 whenever the loop turns."""
        del request
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        """200 when a program can start now; else 503, and the body says why."""
        del request
        why = self._service.blockers()
        if not why:
            return JSONResponse({"status": "ready"})
        status = "draining" if self._service.draining else "not ready"
        return JSONResponse({"status": status, "reasons": why}, 503, {"Retry-After": "2"})

    async def version(self, request: Request) -> Response:
        del request
        facts = {"name": "pie", "version": __version__, "session": SUBPROTOCOL}
        return JSONResponse({**facts, "python": platform.python_version()})
