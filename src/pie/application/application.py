"""The application layer's face: programs come in, instances go out."""

import asyncio
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from pie.application.admission import Admission, Waiting
from pie.application.components import Components
from pie.application.engine import address_of, make_engine
from pie.application.fiber import Fiber
from pie.application.grammars import open_grammars
from pie.application.guest import Guest
from pie.application.instance import Instance
from pie.application.linker import Contract
from pie.application.measures import Measure, of_models, of_programs, of_tenants
from pie.application.overview import Overview, make_row
from pie.application.programs import Launchable, check_arguments, least, resolve, size_of
from pie.application.runtime import Runtime
from pie.application.services import Services, open_services
from pie.application.settings import ApplicationSettings
from pie.application.spares import Spares
from pie.application.stage import Stage
from pie.application.statistics import ApplicationStatistics
from pie.application.ticker import Ticker
from pie.control import Control
from pie.core.errors import Cancelled, NotFound, PieError, Timeout, Unavailable
from pie.core.events import Failed, Finished
from pie.core.ids import InstanceId
from pie.core.programs import DEFAULT_TENANT, Launch, Limits
from pie.core.progress import NoProgress, Progress
from pie.standard import standard_names

WATCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Started:
    """What exists between `start` and `close`."""

    loop: asyncio.AbstractEventLoop
    components: Components
    runtime: Runtime
    spares: Spares
    services: Services


class Application:
    """Lives on one event loop; every method belongs on its thread, and only `async` ones wait."""

    def __init__(self, settings: ApplicationSettings, control: Control) -> None:
        self._settings = settings
        self._control = control
        self._stage = Stage()
        self._engine = make_engine()
        self._engine_address = address_of(self._engine)
        self._ticker = Ticker(self._engine)
        self._admission = Admission(settings.admission, time.monotonic)
        self._alive: dict[InstanceId, Instance] = {}
        self._waiting: dict[InstanceId, Waiting] = {}
        """Those among them that have no place yet."""
        self._past: OrderedDict[InstanceId, Instance] = OrderedDict()
        self._past_bytes = 0
        self._ends: Counter[str] = Counter()
        self._launched = 0
        self._started: _Started | None = None
        self._watch: asyncio.TimerHandle | None = None

    async def start(self, progress: Progress | None = None) -> None:
        """Builds the runner guest if it is not there yet (some 25 s, once) and gets ready for launches."""
        components = Components(self._settings, self._engine, self._stage)
        await components.prepare_runner(progress or NoProgress())
        loop = asyncio.get_running_loop()
        runtime = Runtime(
            loop,
            self._stage,
            self._ticker,
            self._control.pump,
            self._control.driver_works,
            self._settings.compute_share,
        )
        self._control.guests_runnable = runtime.runnable
        self._ticker.start()
        spares = Spares(
            self._engine_address,
            self._stage,
            components.runner,
            self._settings.limits.memory_bytes,
            self._settings.spares,
        )
        spares.start()
        grammars = open_grammars(self._settings, self._control)
        services = open_services(self._settings.egress, self._settings.store, self._start, grammars)
        self._started = _Started(loop, components, runtime, spares, services)
        self._watch = loop.call_later(WATCH_SECONDS, self._look)

    async def close(self, grace_seconds: float = 5.0) -> None:
        """No more launches; running programs get some time to end, then they are cancelled. What still waits
        for a place is cancelled at once."""
        if self._started is None:
            return
        parts, self._started = self._started, None
        if self._watch is not None:
            self._watch.cancel()
        for name in list(self._waiting):
            self._alive[name].abort(Cancelled("the server shuts down; the program had not begun"))
        ends = [asyncio.ensure_future(instance.wait()) for instance in self._alive.values()]
        if ends and grace_seconds:
            await asyncio.wait(ends, timeout=grace_seconds)
        for instance in list(self._alive.values()):
            instance.abort(Cancelled("the server shuts down"))
        await asyncio.gather(*ends)
        await parts.services.close()
        parts.spares.stop()
        self._ticker.stop()

    async def add_component(self, wasm: bytes) -> str:
        """Checks and compiles a component; its SHA-256. Raises `BadProgram`, which says why not."""
        return await self._parts().components.add(wasm)

    def launch(self, launch: Launch) -> Instance:
        """Starts a program, or puts it into the queue. Raises `PieError`: no such program, shutting down, and
        `Overloaded` where even the queue is full."""
        return self._start(launch, None)

    def _start(self, launch: Launch, parent: Guest | None) -> Instance:
        parts = self._parts()
        check_arguments(launch)
        found = resolve(launch.program, parts.components)
        limits = least(launch.limits, self._settings.limits)
        name = InstanceId(secrets.token_hex(8))
        instance = Instance(name, found.name, parts.loop, self._ended, launch.tenant, parent is not None)
        guest = self._make_guest(instance, found, replace(launch, limits=limits), parts, parent)

        def admit() -> None:
            self._waiting.pop(instance.id, None)
            instance.admitted()
            guest.call_later(limits.wall_seconds, lambda: instance.abort(_too_late(limits)))
            parts.runtime.start(guest)

        try:
            waiting = self._take_place(launch, limits, admit, parent)
        except PieError:
            guest.close()
            raise
        self._alive[instance.id] = instance
        self._launched += 1
        if waiting is None:
            admit()
        else:
            self._waiting[instance.id] = waiting
            guest.call_later(limits.wait_seconds, lambda: self._give_up(instance, limits))
        return instance

    def _take_place(
        self, launch: Launch, limits: Limits, admit: Callable[[], None], parent: Guest | None
    ) -> Waiting | None:
        """None: it has got one. Raises `Overloaded`, and `LimitExceeded` for spawned ones."""
        tenant = self._control.tenants.of(launch.tenant)
        if exhausted := tenant.exhausted:
            raise self._admission.refuse(
                "quota",
                exhausted,
                tenant.name,
                f"when its next period begins, or ask the operator for more (tenants.{tenant.name})",
                tenant.seconds_left,
            )
        if parent is not None:
            self._admission.enter_child(launch.tenant)
            return None
        return self._admission.enter(launch.tenant, size_of(launch), limits.wait_seconds > 0, admit)

    def _give_up(self, instance: Instance, limits: Limits) -> None:
        """It has waited for as long as it may."""
        if instance.id in self._waiting:
            why = f"no place became free within {limits.wait_seconds:g} s"
            instance.abort(Timeout(str(self._admission.refuse("timeout", why, instance.tenant))))

    def instance(self, id: str, tenant: str | None = None) -> Instance:
        """One that runs or has ended lately; with a tenant only its own. Raises `NotFound`."""
        name = InstanceId(id)
        found = self._alive.get(name) or self._past.get(name)
        if found is None or tenant not in (None, found.tenant):
            raise NotFound(f"there is no instance {id}, neither running nor among the last that ended")
        return found

    def instances(self, tenant: str | None = None) -> list[Instance]:
        """The last ones that have ended, and those that run; with a tenant only its own."""
        known = [*self._past.values(), *self._alive.values()]
        return [instance for instance in known if tenant in (None, instance.tenant)]

    def standard(self) -> list[str]:
        """Names of the standard inferlets."""
        return standard_names()

    def statistics(self) -> ApplicationStatistics:
        parts = self._parts()
        return ApplicationStatistics(
            alive=self._admission.running.total(),
            waiting=self._admission.waiting_count,
            runnable=parts.runtime.runnable(),
            launched=self._launched,
            rejected={str(reason): count for reason, count in self._admission.rejected.items()},
            ended=dict(self._ends),
            spares=len(parts.spares),
            turns=parts.runtime.turns,
            polls=parts.runtime.polls,
            yields=parts.runtime.yields,
        )

    def overview(self, tenant: str | None = None) -> Overview:
        """All that `pie top` shows; with a tenant only its own programs."""
        alive = [each for each in self._alive.values() if tenant in (None, each.tenant)]
        computes = self._parts().runtime.computes
        rows = [row for row in (make_row(each, computes) for each in alive) if row is not None]
        return Overview(time.time(), self.statistics(), self._control.statistics().models, rows)

    def measures(self, tenant: str) -> list[Measure]:
        """For operators. The tenant "default" sees what all tenants use, others what they use themselves."""
        for each in list(self._alive.values()):
            each.charge_pages()
        known = self._control.tenants.known.values()
        shown = [each for each in known if tenant in (DEFAULT_TENANT, each.name)]
        models = self._control.statistics().models
        return [*of_programs(self.statistics()), *of_models(models), *of_tenants(shown, self._admission)]

    def contract(self) -> Contract:
        """Our interfaces as the runner guest declares them: what components may import."""
        return self._parts().components.contract

    def _look(self) -> None:
        """Page-seconds pass while nothing happens: whoever has none left is ended."""
        parts = self._parts()
        for instance in list(self._alive.values()):
            instance.charge_pages()
        self._watch = parts.loop.call_later(WATCH_SECONDS, self._look)

    def _parts(self) -> _Started:
        if self._started is None:
            raise Unavailable("the application layer is not running: it is starting or shutting down")
        return self._started

    def _make_guest(
        self, instance: Instance, found: Launchable, launch: Launch, parts: _Started, parent: Guest | None
    ) -> Guest:
        def make_fiber() -> Fiber:
            instance.runs()
            return parts.spares.fiber(found.linked, launch.limits.memory_bytes)

        guest = Guest(
            instance.id,
            launch,
            found.source,
            self._control,
            parts.services,
            instance.outbox,
            parts.loop,
            make_fiber,
            parts.runtime.wake,
            instance.settle,
            parent,
        )
        instance.begin(guest)
        return guest

    def _ended(self, instance: Instance, event: Finished | Failed) -> None:
        self._ends["finished" if isinstance(event, Finished) else event.reason] += 1
        del self._alive[instance.id]
        waiting = self._waiting.pop(instance.id, None)
        if waiting is None:
            self._admission.leave(instance.tenant, instance.spawned)
        else:
            self._admission.withdraw(waiting)
        self._past[instance.id] = instance
        self._past_bytes += instance.kept_bytes
        settings = self._settings
        while len(self._past) > settings.finished_kept or self._past_bytes > settings.finished_bytes:
            self._past_bytes -= self._past.popitem(last=False)[1].kept_bytes


def _too_late(limits: Limits) -> Timeout:
    return Timeout(f"the program did not end within its {limits.wall_seconds:g} s")
