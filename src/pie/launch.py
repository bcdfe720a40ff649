"""The one place that joins the rooms: settings in, a running stack out.

Used by the verbs that run programs here (`pie run`, `pie serve`, `pie setup`) and by benchmarks and tests.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pie.application import Application, ApplicationSettings
from pie.control import Control, ControlSettings
from pie.core.clock import Handle
from pie.core.driver import Driver
from pie.core.errors import NotFound
from pie.core.programs import Limits
from pie.core.progress import NoProgress, Progress
from pie.inference.process import DriverProcess
from pie.inference.settings import InferenceSettings
from pie.models import DEFAULT_MODEL, DEFAULT_SOURCE, ModelStore, StoredModel, load_tokenizer, model_info
from pie.settings import Settings


class LoopClock:
    """Real time on the running event loop. `now` does not use the loop's own, coarser time."""

    def now(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        delay = max(0.0, when - time.monotonic())
        return asyncio.get_running_loop().call_later(delay, callback)


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything that runs. Closed by the context that made it."""

    settings: Settings
    store: ModelStore
    control: Control
    application: Application
    driver: DriverProcess

    def driver_alive(self) -> bool:
        return self.driver.pid is not None


def inference_settings(settings: Settings) -> InferenceSettings:
    return InferenceSettings(
        page_size=settings.page_size,
        pages=settings.pages,
        embs=settings.embs,
        threads=settings.threads,
        precision=settings.precision,
        pass_seconds=settings.pass_seconds,
    )


def control_settings(settings: Settings) -> ControlSettings:
    return ControlSettings(
        policy=settings.policy,
        k=settings.policy_k,
        t_ms=settings.policy_t_ms,
        fuse=settings.fuse,
        max_batch_tokens=settings.batch_tokens,
    )


def default_limits(settings: Settings) -> Limits:
    return Limits(
        memory_bytes=settings.memory_mib << 20,
        cpu_seconds=settings.cpu_seconds,
        wall_seconds=settings.wall_seconds,
    )


def application_settings(settings: Settings) -> ApplicationSettings:
    return ApplicationSettings(
        home=settings.home, max_instances=settings.instances, limits=default_limits(settings)
    )


def find_model(store: ModelStore, name: str, progress: Progress) -> StoredModel:
    """The named model; the default one is fetched when it is missing."""
    try:
        return store.get(name)
    except NotFound:
        if name != DEFAULT_MODEL:
            raise
        return store.pull(DEFAULT_SOURCE, progress)


def make_driver(model: StoredModel, settings: Settings) -> DriverProcess:
    return DriverProcess(model.folder, settings.home, inference_settings(settings))


def serve_model(control: Control, model: StoredModel, driver: Driver, page_size: int) -> None:
    control.add_model(model_info(model, page_size), driver, load_tokenizer(model))


@asynccontextmanager
async def open_stack(settings: Settings, progress: Progress | None = None) -> AsyncIterator[Stack]:
    """Starts driver and guests side by side; on leaving, ends the programs first, then the driver.

    Raises `PieError` with what to do: no such model, driver does not start, damaged cache, disk full.
    """
    shown = progress or NoProgress()
    store = ModelStore(settings.home)
    model = await asyncio.to_thread(find_model, store, settings.model, shown)
    control = Control(control_settings(settings), LoopClock())
    application = Application(application_settings(settings), control)
    driver = make_driver(model, settings)
    async with AsyncExitStack() as cleanup:
        cleanup.push_async_callback(driver.close)
        cleanup.push_async_callback(application.close, settings.grace_seconds)
        await asyncio.gather(driver.start(shown), application.start(shown))
        serve_model(control, model, driver, settings.page_size)
        yield Stack(settings, store, control, application, driver)
