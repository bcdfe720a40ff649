"""All routes in one place."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from pie import __version__
from pie.core.errors import PieError
from pie.protocol import SESSION_PATH
from pie.server.errors import on_bug, on_http_exception, on_pie_error
from pie.server.gate import Gate
from pie.server.health import Health
from pie.server.instances import Instances
from pie.server.metrics import Metrics
from pie.server.models import Models
from pie.server.programs import Programs
from pie.server.request_id import RequestId
from pie.server.service import Service
from pie.server.session import SessionRoute
from pie.server.statistics import Statistics
from pie.server.trace import Traces


def make_app(service: Service) -> Starlette:
    health, models = Health(service), Models(service)
    programs, instances = Programs(service), Instances(service)
    routes = [
        Route("/livez", health.live),
        Route("/readyz", health.ready),
        Route("/health", health.ready),
        Route("/version", health.version),
        Route("/metrics", Metrics(service).show),
        Route("/v1/models", models.list),
        Route("/v1/statistics", Statistics(service).show),
        Route("/v1/programs", programs.list),
        Route("/v1/programs", programs.upload, methods=["POST"]),
        Route("/v1/instances", instances.list),
        Route("/v1/instances", instances.launch, methods=["POST"]),
        Route("/v1/instances/{id}", instances.show),
        Route("/v1/instances/{id}/events", instances.events),
        Route("/v1/instances/{id}/logs", instances.logs),
        Route("/v1/instances/{id}/trace", Traces(service).show),
        Route("/v1/instances/{id}/messages", instances.message, methods=["POST"]),
        Route("/v1/instances/{id}/cancel", instances.cancel, methods=["POST"]),
        WebSocketRoute(SESSION_PATH, SessionRoute(service)),
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(RequestId, version=__version__),
            Middleware(Gate, settings=service.settings),
        ],
        exception_handlers={HTTPException: on_http_exception, PieError: on_pie_error, Exception: on_bug},
    )
