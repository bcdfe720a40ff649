"""`/v1/instances`: launch, list, look at, talk to and cancel programs over plain HTTP.

A program launched here does not depend on the connection: it runs until it ends or is cancelled.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pie.application import Instance
from pie.core.errors import InvalidArgument
from pie.core.events import Log
from pie.protocol import InstanceBody, LaunchBody, MessageBody
from pie.server.bodies import read_body, read_json
from pie.server.event_stream import EventStream, with_pauses
from pie.server.launches import to_launch
from pie.server.service import Service

HISTORY_SECONDS = 0.02
"""Past events come at once; when none comes for so long, the rest has not happened yet."""


class Instances:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings

    async def launch(self, request: Request) -> Response:
        """201 with the id."""
        application = self._service.launching()
        limit, stall = self._settings.body_bytes, self._settings.stall_seconds
        body = await read_json(request, LaunchBody, limit, stall)
        instance = application.launch(to_launch(body, self._settings.limits, request.state.tenant))
        return JSONResponse({"id": instance.id}, 201, {"Location": f"/v1/instances/{instance.id}"})

    async def list(self, request: Request) -> Response:
        """Running and recently finished ones of the tenant."""
        found = self._service.application().instances(request.state.tenant)
        rows = [describe(instance) for instance in found]
        return answer({"instances": rows})

    async def show(self, request: Request) -> Response:
        return answer(describe(self._find(request)))

    async def events(self, request: Request) -> Response:
        """Everything from the first event on, as server-sent events. `Last-Event-ID` continues after it."""
        last = request.headers.get("last-event-id", "0")
        if not last.isdecimal():
            raise InvalidArgument("Last-Event-ID is a number")
        return EventStream(self._find(request).events(), int(last), self._settings)

    async def logs(self, request: Request) -> Response:
        """What the program printed so far, in order."""
        printed = []
        async for event in with_pauses(self._find(request).events(), HISTORY_SECONDS):
            if event is None:
                break
            if isinstance(event, Log):
                printed.append({"stream": event.stream, "text": event.text})
        return answer({"logs": printed})

    async def message(self, request: Request) -> Response:
        """Text as `{"text": ...}` (application/json), anything else as a blob."""
        instance = self._find(request)
        limit, stall = self._settings.body_bytes, self._settings.stall_seconds
        if request.headers.get("content-type", "").startswith("application/octet-stream"):
            instance.post(await read_body(request, limit, stall))
        else:
            instance.post((await read_json(request, MessageBody, limit, stall)).text)
        return Response(status_code=202)

    async def cancel(self, request: Request) -> Response:
        """202 whether or not it still runs."""
        self._find(request).cancel()
        return Response(status_code=202)

    def _find(self, request: Request) -> Instance:
        return self._service.application().instance(request.path_params["id"], request.state.tenant)


def describe(instance: Instance) -> InstanceBody:
    return InstanceBody(
        id=instance.id,
        program=instance.program,
        state=instance.state,
        started_at=instance.started_at,
        finished_at=instance.finished_at,
        usage=msgspec.to_builtins(instance.usage()),
    )


def answer(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
