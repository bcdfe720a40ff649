"""`/v1/instances/ID/trace`: where a program's time went, for https://ui.perfetto.dev and chrome://tracing."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from pie.server.instances import answer
from pie.server.service import Service


class Traces:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def show(self, request: Request) -> Response:
        """The timeline so far, in the trace event format; also for a while after the program's end."""
        id, tenant = request.path_params["id"], request.state.tenant
        write = self._service.application().instance(id, tenant).look_back()
        return await asyncio.to_thread(lambda: answer(write()))
