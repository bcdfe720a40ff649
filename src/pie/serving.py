"""The stack behind a server. Not in `launch.py`: a program that runs here does without a web server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pie.core.progress import Progress
from pie.hosting import default_limits
from pie.launch import Stack, open_stack
from pie.server import Backend, Listener, ServerSettings, Service, bind, make_app
from pie.settings import Settings


def server_settings(settings: Settings) -> ServerSettings:
    return ServerSettings(
        host=settings.host,
        port=settings.port,
        api_key=settings.api_key,
        api_keys=settings.api_keys,
        insecure=settings.insecure,
        limits=default_limits(settings),
    )


def try_port(settings: Settings) -> None:
    """Raises OperatorError when `serving` could not listen, saying why."""
    bind(server_settings(settings)).close()


def blockers(stack: Stack) -> list[str]:
    """Why no program can start now, for /readyz."""
    programs = stack.application.statistics()
    found = [] if stack.drivers_alive() else ["the model's driver is not running; it is being started again"]
    if programs.alive >= stack.settings.instances:
        waiting = f", and {programs.waiting} wait" if programs.waiting else ""
        found.append(f"{programs.alive} programs run, as many as this server takes{waiting}")
    return found


@asynccontextmanager
async def serving(settings: Settings, progress: Progress | None = None) -> AsyncIterator[str]:
    """A server around the stack; gives its URL when it is ready.

    It listens before the model is loaded: a taken port is an error at once, and /readyz can say "loading".
    On leaving, new work is refused, the application ends what runs, and then the connections are closed.
    """
    server = server_settings(settings)
    service = Service(server)
    listener = Listener(make_app(service), bind(server), server)
    async with listener.serving(), open_stack(settings, progress) as stack:
        service.attach(Backend(stack.application, stack.control.models, lambda: blockers(stack)))
        try:
            yield listener.url
        finally:
            service.drain()
