"""The one place that joins the rooms: settings in, a running stack out.

Used by the verbs that run programs here (`pie run`, `pie serve`, `pie setup`) and by benchmarks and tests.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pie.application import Application, ApplicationSettings
from pie.application.admission import AdmissionSettings
from pie.application.egress_hosts import parse_patterns
from pie.application.egress_settings import EgressSettings
from pie.application.standard import standard_names
from pie.application.store import StoreSettings
from pie.control import Control, ControlSettings
from pie.control.record_file import RecordWriter
from pie.control.recording import RecordedControl
from pie.core.errors import NotFound
from pie.core.programs import DEFAULT_TENANT, Limits, Quota
from pie.core.progress import NoProgress, Progress
from pie.inference.early import EarlyProcess
from pie.inference.process import DriverProcess
from pie.inference.ready import is_ready
from pie.inference.settings import InferenceSettings
from pie.loop_clock import LoopClock
from pie.models import (
    DEFAULT_MODEL,
    DEFAULT_SOURCE,
    ModelStore,
    ModelTokenizer,
    StoredModel,
    load_tokenizer,
    model_info,
)
from pie.server import Backend, Listener, ServerSettings, Service, bind, make_app
from pie.settings import Settings, default_threads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything that runs. Closed by the context that made it."""

    settings: Settings
    store: ModelStore
    control: Control
    application: Application
    drivers: dict[str, DriverProcess]
    """By the name of the model each has, the one that programs get by default first."""

    @property
    def driver(self) -> DriverProcess:
        return next(iter(self.drivers.values()))

    def drivers_alive(self) -> bool:
        return all(driver.pid is not None for driver in self.drivers.values())


def inference_settings(settings: Settings) -> InferenceSettings:
    return InferenceSettings(
        page_size=settings.page_size,
        pages=settings.pages,
        host_pages=settings.host_pages,
        disk_pages=settings.disk_pages,
        swap_folder=str((settings.swap_dir or settings.home / "swap").absolute()),
        embs=settings.embs,
        slots=settings.slots,
        matchers=settings.matchers,
        grammars=settings.grammars,
        threads=settings.threads,
        precision=settings.precision,
        kv_precision=settings.kv_precision,
        kernels=settings.kernels,
        device=settings.device,
        cuda_graphs=settings.cuda_graphs,
        pass_seconds=settings.pass_seconds,
        adapters=tuple((name, str(folder.absolute())) for name, folder in settings.adapters.items()),
    )


def control_settings(settings: Settings) -> ControlSettings:
    return ControlSettings(
        policy=settings.policy,
        k=settings.policy_k,
        t_ms=settings.policy_t_ms,
        fuse=settings.fuse,
        passes_in_flight=settings.passes_in_flight,
        max_batch_tokens=settings.batch_tokens,
        prefill_tokens=settings.prefill_tokens,
        trace_events=settings.trace_events,
        export_bytes=settings.export_mib << 20,
        weights={name: tenant.weight for name, tenant in settings.tenants.items()},
        quotas=quotas(settings),
        quota_seconds=settings.quota_seconds,
    )


def make_control(settings: Settings) -> Control:
    """Recorded where the settings say so. Raises `InvalidArgument` for a file that cannot be written."""
    options, clock = control_settings(settings), LoopClock()
    if settings.record is None:
        return Control(options, clock)
    return RecordedControl(options, clock, RecordWriter(settings.record, settings.record_mib << 20))


def quotas(settings: Settings) -> dict[str, Quota]:
    """Of the tenants that the settings name."""
    names = {field.name for field in fields(Quota)}
    return {name: Quota(**tenant.model_dump(include=names)) for name, tenant in settings.tenants.items()}


def default_limits(settings: Settings) -> Limits:
    return Limits(
        memory_bytes=settings.memory_mib << 20,
        cpu_seconds=settings.cpu_seconds,
        wall_seconds=settings.wall_seconds,
        wait_seconds=settings.wait_seconds,
        pages=settings.page_limit,
        children=settings.children,
        tokens=settings.token_limit,
        compute_ms=settings.compute_limit_ms,
        page_seconds=settings.page_second_limit,
        host_calls=settings.host_call_limit,
        bytes_out=settings.bytes_out_limit,
    )


def egress_settings(settings: Settings) -> EgressSettings:
    """Raises `InvalidArgument` for hosts that are none."""
    return EgressSettings(
        hosts=parse_patterns(settings.allow_hosts),
        private_hosts=parse_patterns(settings.allow_private_hosts),
        seconds=settings.http_seconds,
        response_bytes=settings.http_response_mib << 20,
        connections=settings.http_connections,
    )


def store_settings(settings: Settings) -> StoreSettings:
    folder = settings.home / "store" if settings.store == "durable" else None
    return StoreSettings(folder, bytes_each=settings.store_mib << 20)


def admission_settings(settings: Settings) -> AdmissionSettings:
    """Where there is one tenant, everything is its own."""
    tenants = {*settings.api_keys.values(), *([DEFAULT_TENANT] if settings.api_key else [])}
    share = settings.tenant_share if len(tenants) > 1 else 1.0
    shares = {name: each.share for name, each in settings.tenants.items() if each.share is not None}
    return AdmissionSettings(
        settings.instances, settings.launch_queue, share=share, shares=shares, quotas=quotas(settings)
    )


def compute_share(settings: Settings) -> float:
    """Drivers that use all cores wait for whatever else runs on one of them."""
    if settings.compute_share is not None:
        return settings.compute_share
    busy = (1 + len(settings.more_models)) * settings.threads
    return 1.0 if busy < default_threads() else 0.25


def application_settings(settings: Settings) -> ApplicationSettings:
    return ApplicationSettings(
        home=settings.home,
        admission=admission_settings(settings),
        limits=default_limits(settings),
        compute_share=compute_share(settings),
        egress=egress_settings(settings),
        store=store_settings(settings),
    )


def find_model(store: ModelStore, name: str, progress: Progress) -> StoredModel:
    """The named model; the default one is fetched when it is missing."""
    try:
        return store.get(name)
    except NotFound:
        if name != DEFAULT_MODEL:
            raise
        return store.pull(DEFAULT_SOURCE, progress)


def make_driver(model: StoredModel, settings: Settings, early: EarlyProcess | None = None) -> DriverProcess:
    return DriverProcess(model.folder, settings.home, inference_settings(settings), early=early)


def make_drivers(
    models: Sequence[StoredModel], settings: Settings, early: EarlyProcess | None = None
) -> dict[str, DriverProcess]:
    """One for each model. Adapters are for the first one, and so is a process that has begun already."""
    first, *others = models
    plain = settings.model_copy(update={"adapters": {}})
    return {
        first.name: make_driver(first, settings, early),
        **{model.name: make_driver(model, plain) for model in others},
    }


def find_models(store: ModelStore, settings: Settings, progress: Progress) -> list[StoredModel]:
    names = dict.fromkeys((settings.model, *settings.more_models))
    return [find_model(store, name, progress) for name in names]


def load_tokenizers(models: Sequence[StoredModel]) -> list[ModelTokenizer]:
    return [load_tokenizer(model) for model in models]


async def all_or_none(first: Awaitable[T], *others: Awaitable[None]) -> T:
    """Side by side; the first one's result. When one fails, the rest have ended before its error goes on."""
    main = asyncio.ensure_future(first)
    tasks: list[asyncio.Future[Any]] = [main, *map(asyncio.ensure_future, others)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return main.result()


@asynccontextmanager
async def open_stack(
    settings: Settings, progress: Progress | None = None, early: EarlyProcess | None = None
) -> AsyncIterator[Stack]:
    """Starts drivers and guests side by side; on leaving, ends the programs first, then the drivers.

    `early`: a process for the driver that has begun already.
    Raises `PieError` with what to do: no such model, driver does not start, damaged cache, disk full.
    """
    shown = progress or NoProgress()
    options = application_settings(settings)
    store = ModelStore(settings.home)
    models = await asyncio.to_thread(find_models, store, settings, shown)
    control = make_control(settings)
    application = Application(options, control)
    drivers = make_drivers(models, settings, early)
    async with AsyncExitStack() as cleanup:
        if isinstance(control, RecordedControl):
            cleanup.callback(control.tape.close)
        for driver in drivers.values():
            cleanup.push_async_callback(driver.close)
        cleanup.push_async_callback(application.close, settings.grace_seconds)
        starts = (driver.start(shown) for driver in drivers.values())
        reading = asyncio.to_thread(load_tokenizers, models)
        tokenizers = await all_or_none(reading, *starts, application.start(shown))
        for model, tokenizer in zip(models, tokenizers, strict=True):
            control.add_model(model_info(model, settings.page_size), drivers[model.name], tokenizer)
        yield Stack(settings, store, control, application, drivers)


def standard_inferlets() -> list[str]:
    """Their names, known before anything is started."""
    return standard_names()


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


async def prepare(settings: Settings, progress: Progress | None = None) -> None:
    """Does once what every start would wait for: model, weights, runner. Quick when all that is there."""
    shown = progress or NoProgress()
    models = await asyncio.to_thread(find_models, ModelStore(settings.home), settings, shown)
    application = Application(
        application_settings(settings), Control(control_settings(settings), LoopClock())
    )
    drivers = make_drivers(models, settings)
    async with AsyncExitStack() as cleanup:
        for driver in drivers.values():
            cleanup.push_async_callback(driver.close)
        cleanup.push_async_callback(application.close)
        await application.start(shown)
        for model in models:
            if not is_ready(settings.home, model.digest, inference_settings(settings)):
                await drivers[model.name].start(shown)
