"""`/v1/statistics`: what the server does just now; `pie top` shows it."""

from starlette.requests import Request
from starlette.responses import Response

from pie.server.instances import answer
from pie.server.service import Service


class Statistics:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def show(self, request: Request) -> Response:
        """Counts of the whole server, and the programs of the tenant."""
        return answer(self._service.application().overview(request.state.tenant))
