"""`/metrics`: figures in the text format of Prometheus."""

from collections.abc import Iterable, Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pie.application.measures import Labels, Measure
from pie.server.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metrics:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def show(self, request: Request) -> Response:
        """Of tenants, a key sees its own; that of the tenant "default" sees all."""
        found = self._service.application().measures(request.state.tenant)
        return PlainTextResponse("".join(lines(found)), headers={"content-type": CONTENT_TYPE})


def lines(measures: Iterable[Measure]) -> Iterator[str]:
    for measure in measures:
        yield f"# HELP pie_{measure.name} {measure.help}\n# TYPE pie_{measure.name} {measure.kind}\n"
        for labels, value in measure.values:
            yield f"pie_{measure.name}{shown(labels)} {value:.17g}\n"


def shown(labels: Labels) -> str:
    inside = ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""
