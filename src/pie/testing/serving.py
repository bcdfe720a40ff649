"""The real server in front of scripted programs, for tests of servers, clients and the command line."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

from pie.application import Application
from pie.core.model import ModelInfo
from pie.server import Backend, Listener, ServerSettings, Service, bind, make_app
from pie.testing.scripted import Script, ScriptedApplication, ScriptedInstance

SERVED_MODEL = ModelInfo(
    name="scripted",
    description="no model at all",
    version="1",
    license="none",
    chat_template="",
    context_length=128,
    vocabulary_size=256,
    page_size=16,
)


@dataclass(frozen=True, slots=True)
class Served:
    """`blockers`: put reasons in, and the server is not ready."""

    url: str
    service: Service
    application: ScriptedApplication
    blockers: list[str]


@asynccontextmanager
async def serve_scripts(
    scripts: Mapping[str, Script] | None = None, settings: ServerSettings | None = None
) -> AsyncIterator[Served]:
    """On a port that is free, whatever the settings say."""
    chosen = replace(settings or ServerSettings(), port=0)
    service = Service(chosen)
    listener = Listener(make_app(service), bind(chosen), chosen)
    application = ScriptedApplication(scripts or SCRIPTS)
    blockers: list[str] = []
    async with listener.serving():
        service.attach(
            Backend(cast(Application, application), lambda: (SERVED_MODEL,), lambda: tuple(blockers))
        )
        yield Served(listener.url, service, application, blockers)
        await application.close()


async def hello(program: ScriptedInstance) -> str:
    program.log("greeting\n")
    program.send("hello")
    return "done"


async def echo(program: ScriptedInstance) -> str:
    """Gives back what it gets, until it gets "stop"."""
    while (message := await program.inbox.get()) != "stop":
        program.send(message)
    return "stopped"


async def fail(program: ScriptedInstance) -> str:
    program.send("before")
    raise RuntimeError("it broke")


async def forever(program: ScriptedInstance) -> str:
    program.send("running")
    await asyncio.Event().wait()
    return ""


SCRIPTS: Mapping[str, Script] = {"hello": hello, "echo": echo, "fail": fail, "forever": forever}
