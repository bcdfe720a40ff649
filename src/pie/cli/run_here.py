"""`pie run` without a server: the same stack, started for one program."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from pie.cli.options import load_settings
from pie.cli.progress import BarProgress
from pie.cli.run import Order
from pie.cli.show import show_job
from pie.cli.trace_file import write_trace
from pie.core.errors import NotFound
from pie.core.events import Event
from pie.core.programs import Component, Launch, Program, Source, Standard
from pie.inference.early import EarlyProcess
from pie.launch import Stack, open_stack
from pie.standard import standard_names


class LocalInstance(Protocol):
    """As much of `pie.application.Instance` as is needed here."""

    def events(self) -> AsyncIterator[Event]: ...

    def post(self, message: str) -> None: ...

    def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LocalJob:
    instance: LocalInstance

    def events(self) -> AsyncIterator[Event]:
        return self.instance.events()

    async def post(self, line: str) -> None:
        self.instance.post(line)

    async def cancel(self) -> None:
        self.instance.cancel()


async def run_here(order: Order, model: str | None, early: EarlyProcess) -> int:
    settings = load_settings(
        model=model,
        adapters=order.adapters,
        allow_hosts=order.hosts,
        allow_private_hosts=order.private_hosts,
        record=order.record,
        **order.limits,
    )
    if order.path is None:
        check_name(order.program, standard_names())
    async with AsyncExitStack() as cleanup:
        with BarProgress("Starting") as progress:
            stack = await cleanup.enter_async_context(open_stack(settings, progress, early))
            program = await find_program(order, stack)
        launch = Launch(program, order.args, stack.limits)
        instance = stack.application.launch(launch)
        try:
            return await show_job(LocalJob(instance), order.read_input)
        finally:
            if order.trace is not None:
                write_trace(order.trace, instance.timeline())


async def find_program(order: Order, stack: Stack) -> Program:
    if order.path is None:
        return Standard(order.program)
    if order.path.suffix == ".wasm":
        return Component(await stack.application.add_component(order.path.read_bytes()))
    return Source(order.path.read_text(), str(order.path))


def check_name(name: str, names: list[str]) -> None:
    """Raises NotFound with what comes closest."""
    if name in names:
        return
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    raise NotFound(f"no standard inferlet is called {name}: {hint}")
