"""The one place that joins the rooms: settings in, a running stack out.

Used by the verbs that run programs here (`pie run`, `pie serve`, `pie setup`) and by benchmarks and tests.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pie.core.programs import Limits
from pie.core.progress import NoProgress, Progress
from pie.drivers import find_models, inference_settings, load_tokenizers, make_drivers
from pie.inference.early import EarlyProcess
from pie.inference.process import DriverProcess
from pie.inference.ready import is_ready
from pie.models import ModelStore, ModelTokenizer, StoredModel, model_info
from pie.settings import Settings

if TYPE_CHECKING:
    from pie.application import Application
    from pie.control import Control
    from pie.hosting import Host

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything that runs. Closed by the context that made it."""

    settings: Settings
    store: ModelStore
    host: "Host"
    drivers: dict[str, DriverProcess]
    """By the name of the model each has, the one that programs get by default first."""

    @property
    def control(self) -> "Control":
        return self.host.control

    @property
    def application(self) -> "Application":
        return self.host.application

    @property
    def limits(self) -> Limits:
        """Of a program that asks for none."""
        return self.host.limits

    @property
    def driver(self) -> DriverProcess:
        return next(iter(self.drivers.values()))

    def drivers_alive(self) -> bool:
        return all(driver.pid is not None for driver in self.drivers.values())


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


async def open_host(settings: Settings, cleanup: AsyncExitStack) -> "Host":
    """Not started. By name and beside the loop: loading it takes half a second, in which drivers start."""
    hosting: Any = await asyncio.to_thread(importlib.import_module, "pie.hosting")
    host: Host = hosting.make_host(settings)
    cleanup.push_async_callback(host.close)
    return host


async def start_host(
    settings: Settings, models: Sequence[StoredModel], shown: Progress, cleanup: AsyncExitStack
) -> tuple["Host", list[ModelTokenizer]]:
    host = await open_host(settings, cleanup)
    reading = asyncio.to_thread(load_tokenizers, models)
    return host, await all_or_none(reading, host.application.start(shown))


@asynccontextmanager
async def open_stack(
    settings: Settings, progress: Progress | None = None, early: EarlyProcess | None = None
) -> AsyncIterator[Stack]:
    """Starts drivers and guests side by side; on leaving, ends the programs first, then the drivers.

    `early`: a process for the driver that has begun already.
    Raises `PieError` with what to do: no such model, driver does not start, damaged cache, disk full.
    """
    shown = progress or NoProgress()
    store = ModelStore(settings.home)
    models = await asyncio.to_thread(find_models, store, settings, shown)
    drivers = make_drivers(models, settings, early)
    async with AsyncExitStack() as cleanup:
        for driver in drivers.values():
            cleanup.push_async_callback(driver.close)
        starts = (driver.start(shown) for driver in drivers.values())
        host, tokenizers = await all_or_none(start_host(settings, models, shown, cleanup), *starts)
        for model, tokenizer in zip(models, tokenizers, strict=True):
            host.control.add_model(model_info(model, settings.page_size), drivers[model.name], tokenizer)
        yield Stack(settings, store, host, drivers)


async def prepare(settings: Settings, progress: Progress | None = None) -> None:
    """Does once what every start would wait for: model, weights, runner. Quick when all that is there."""
    shown = progress or NoProgress()
    models = await asyncio.to_thread(find_models, ModelStore(settings.home), settings, shown)
    drivers = make_drivers(models, settings)
    async with AsyncExitStack() as cleanup:
        for driver in drivers.values():
            cleanup.push_async_callback(driver.close)
        host = await open_host(settings, cleanup)
        await host.application.start(shown)
        for model in models:
            if not is_ready(settings.home, model.digest, inference_settings(settings)):
                await drivers[model.name].start(shown)
