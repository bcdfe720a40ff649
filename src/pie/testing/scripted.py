"""An application without a sandbox: programs are Python coroutines of the test. For tests of what stands
above the application layer (server, client, command line), where a guest would only cost time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pie.application.measures import Measure
from pie.core.errors import NotFound, PieError, Unavailable, WrongState
from pie.core.events import Blob, Event, Failed, Finished, Log, Message, Started
from pie.core.ids import InstanceId
from pie.core.programs import Component, Launch, Source, Standard

SCRIPTED_MODEL: Mapping[str, Any] = MappingProxyType({
    **dict.fromkeys(("tokens", "passes", "driver_seconds", "pass_seconds", "queued_commands"), 0),
    **dict.fromkeys(("passes_in_flight", "suspended"), 0),
    "down": "", "batch_sizes": {}, "pages": {"held": 0, "total": 16, "free": 16, "swapped": 0},
})  # fmt: skip
"""Statistics of a model that does nothing."""
Script = Callable[["ScriptedInstance"], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class ScriptedUsage:
    tokens: int = 0


@dataclass(eq=False)
class ScriptedInstance:
    """What a script sees, and what the server sees."""

    id: InstanceId
    launch: Launch
    program: str
    state: str = "starting"
    started_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    inbox: asyncio.Queue[str | bytes] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self._history: list[Event] = [Started(self.id)]
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def send(self, message: str | bytes) -> None:
        self._tell(Message(message) if isinstance(message, str) else Blob(message))

    def log(self, text: str, stream: str = "stdout") -> None:
        self._tell(Log(stream, text))

    def _tell(self, event: Event) -> None:
        self._history.append(event)
        self._changed.set()
        self._changed = asyncio.Event()

    def start(self, script: Script) -> None:
        self.state = "running"
        self._task = asyncio.create_task(self._run(script))
        self._task.add_done_callback(self._ended)

    async def _run(self, script: Script) -> None:
        try:
            result = await script(self)
        except RuntimeError as error:
            traceback = f'Traceback:\n  "{self.program}", line 1\n{error}'
            self._end("failed", Failed("error", str(error), traceback))
        else:
            self._end("finished", Finished(result))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._end("cancelled", Failed("cancelled", "cancelled on request"))

    def _end(self, state: str, event: Event) -> None:
        self.state, self.finished_at = state, time.time()
        self._tell(event)

    async def events(self) -> AsyncIterator[Event]:
        seen = 0
        while True:
            changed = self._changed
            while seen < len(self._history):
                seen += 1
                yield self._history[seen - 1]
            if isinstance(self._history[-1], Finished | Failed):
                return
            await changed.wait()

    def post(self, message: str | bytes) -> None:
        if self.finished_at is not None:
            raise WrongState(f"{self.id} has ended and takes no messages")
        self.inbox.put_nowait(message)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def wait(self) -> Event:
        async for event in self.events():
            last = event
        return last

    def timeline(self) -> dict[str, Any]:
        """One span: the script ran."""
        span = {"ph": "X", "name": "runs", "cat": "run", "pid": 1, "tid": 1, "ts": 0, "dur": 1}
        return {"traceEvents": [span], "otherData": {"program": self.program}}

    def look_back(self) -> Callable[[], dict[str, Any]]:
        return self.timeline

    def usage(self) -> ScriptedUsage:
        return ScriptedUsage()


class ScriptedApplication:
    """`scripts` by the name they are launched with; source text is launched as the script named "source",
    components as "component"."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = dict(scripts)
        self._instances: dict[str, ScriptedInstance] = {}
        self.uploads: list[bytes] = []
        self.closed = False
        self.refusal: PieError | None = None
        """What launches are refused with."""

    def launch(self, launch: Launch) -> ScriptedInstance:
        if self.refusal is not None:
            raise self.refusal
        if self.closed:
            raise Unavailable("closing")
        name = script_name(launch)
        if name not in self.scripts:
            raise NotFound(f"no standard inferlet {name!r}; there are: {', '.join(self.standard())}")
        instance = ScriptedInstance(InstanceId(f"i-{len(self._instances)}"), launch, name)
        self._instances[instance.id] = instance
        instance.start(self.scripts[name])
        return instance

    async def add_component(self, wasm: bytes) -> str:
        self.uploads.append(wasm)
        return "0" * 64

    def instance(self, id: str, tenant: str | None = None) -> ScriptedInstance:
        found = self._instances.get(id)
        if found is None or tenant not in (None, found.launch.tenant):
            raise NotFound(f"no instance {id}")
        return found

    def instances(self, tenant: str | None = None) -> list[ScriptedInstance]:
        return [each for each in self._instances.values() if tenant in (None, each.launch.tenant)]

    def measures(self, tenant: str) -> list[Measure]:
        """One figure, with a label that must be escaped."""
        values = [((("tenant", tenant), ("odd", 'a"b\\c')), float(self.running()))]
        return [Measure("instances", "gauge", "Programs", [*values])]

    def standard(self) -> list[str]:
        return sorted(self.scripts)

    def overview(self, tenant: str | None = None) -> dict[str, Any]:
        """As `GET /v1/statistics` tells it; scripts use no model."""
        alive = [each for each in self.instances(tenant) if each.finished_at is None]
        counts = {"launched": len(self._instances), "ended": {}}
        return {
            "at": time.time(),
            "programs": counts,
            "models": {"scripted": dict(SCRIPTED_MODEL)},
            "rows": [scripted_row(each) for each in alive],
        }

    def running(self) -> int:
        return sum(1 for instance in self._instances.values() if instance.finished_at is None)

    async def close(self, grace_seconds: float = 0.0) -> None:
        del grace_seconds
        self.closed = True
        for instance in self._instances.values():
            instance.cancel()
            await instance.wait()


def scripted_row(instance: ScriptedInstance) -> dict[str, Any]:
    about = {"id": instance.id, "program": instance.program, "tenant": instance.launch.tenant}
    numbers = dict.fromkeys(("pages", "host_pages", "tokens", "cpu_seconds"), 0)
    return {**about, **numbers, "doing": "running", "tools": [], "started_at": instance.started_at}


def script_name(launch: Launch) -> str:
    match launch.program:
        case Standard(name):
            return name
        case Source():
            return "source"
        case Component():
            return "component"
