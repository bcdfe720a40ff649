"""`GET /v1/models`, in the shape that OpenAI's clients know, with what programs need to know besides."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pie.core.model import ModelInfo
from pie.server.service import Service


class Models:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        del request
        found = [describe(model) for model in self._service.backend().models()]
        return JSONResponse({"object": "list", "data": found})


def describe(model: ModelInfo) -> dict[str, object]:
    facts = asdict(model)
    return {"id": facts.pop("name"), "object": "model", "created": 0, "owned_by": "pie", **facts}
