"""`POST /v1/programs`: a component's bytes → its SHA-256, by which it is launched. Twice is harmless."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pie.server.bodies import read_body
from pie.server.service import Service


class Programs:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def upload(self, request: Request) -> Response:
        """201, or 422 when the component does not validate."""
        application = self._service.launching()
        settings = self._service.settings
        wasm = await read_body(request, settings.component_bytes, settings.stall_seconds)
        digest = await application.add_component(wasm)
        return JSONResponse({"program": digest}, 201)

    async def list(self, request: Request) -> Response:
        """The standard inferlets."""
        del request
        return JSONResponse({"programs": self._service.application().standard()})
