"""`pie run`: a program from a file, a component or by name, here or on a server."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pie.cli.adapters import AdapterOption, read_adapters
from pie.cli.hosts import AllowHostOption, AllowPrivateHostOption
from pie.cli.keyboard import can_read_input
from pie.cli.loop import run_async
from pie.cli.trace_file import check_writable
from pie.core.errors import InvalidArgument, NotFound
from pie.inference.early import early_process

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)

FILES = (".py", ".wasm")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to run. `program` is the path of a file that exists, or a name. `limits` are those given."""

    program: str
    args: tuple[str, ...]
    limits: dict[str, float]
    read_input: bool
    adapters: dict[str, str] | None = None
    """LoRA adapters to load: folders by name."""
    hosts: list[str] | None = None
    """Hosts that it may talk to."""
    private_hosts: list[str] | None = None
    trace: Path | None = None
    """Where its timeline goes when it has ended."""
    record: Path | None = None
    """Where all that leads to decisions about it goes."""

    @property
    def path(self) -> Path | None:
        return Path(self.program) if self.program.endswith(FILES) else None


class RunCommand(TyperCommand):
    """Whoever writes a program's option among ours is told where it belongs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "option_name", None) and hasattr(error, "message"):
                error.message += " (the program's own options go after `--`: pie run PROGRAM -- OPTIONS)"
            raise


@app.command(cls=RunCommand)
def run(
    program: Annotated[
        str,
        typer.Argument(metavar="program", help="A .py file, a .wasm component, or a standard name."),
    ],
    args: Annotated[
        list[str] | None, typer.Argument(metavar="ARGS", help="The program's own, after `--`.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model to load [default: the default model].")] = None,
    adapter: AdapterOption = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar="PIE_SERVER", help="Run it on this server instead of here."),
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", envvar="PIE_API_KEY", help="The server's API key.")
    ] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory it may use.")] = None,
    cpu_seconds: Annotated[float | None, typer.Option(help="Processor time it may use.")] = None,
    wall_seconds: Annotated[float | None, typer.Option(help="How long it may live.")] = None,
    page_limit: Annotated[int | None, typer.Option(help="Key-value pages it may hold.")] = None,
    children: Annotated[int | None, typer.Option(help="Programs it may have spawned at a time.")] = None,
    allow_host: AllowHostOption = None,
    allow_private_host: AllowPrivateHostOption = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write where its time went, for ui.perfetto.dev.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record all that leads to decisions, for pie replay.")
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Do not read standard input.")] = False,
) -> None:
    """Run a program next to the model, and show what it sends and returns.

    Lines on standard input become messages to the program, and the end of the input an empty one. The
    program's messages and its result go to standard output, what it prints to standard error. Ctrl-C stops
    it.

    **Examples**

    - `pie run hello`

    - `pie run text-completion -- --prompt "Once upon a time" --max-tokens 64`

    - `pie run my_program.py -- --help` shows the options of your program's `main`

    - `pie run my_program.py --cpu-seconds 2 --memory-mib 64` with tighter limits

    - `pie run my_agent.py --allow-host api.example.org` lets it talk to that host, and to no other

    - `pie run my_agent.py --trace timeline.json`, then open the file in https://ui.perfetto.dev

    - `pie run chat --server http://127.0.0.1:8642` on a running server
    """
    limits = {
        "memory_mib": memory_mib,
        "cpu_seconds": cpu_seconds,
        "wall_seconds": wall_seconds,
        "page_limit": page_limit,
        "children": children,
    }
    order = Order(
        program,
        tuple(args or ()),
        {name: value for name, value in limits.items() if value is not None},
        read_input=not no_input and can_read_input(),
        adapters=read_adapters(adapter),
        hosts=allow_host,
        private_hosts=allow_private_host,
        trace=trace,
        record=record,
    )
    check(order, model, server)
    raise typer.Exit(run_async(start(order, model, server, api_key)))


def check(order: Order, model: str | None, server: str | None) -> None:
    """What is wrong with the order itself is said before anything is loaded."""
    if order.path is not None and not order.path.is_file():
        raise NotFound(f"there is no file {order.path}")
    if order.path is None and Path(order.program).exists():
        raise InvalidArgument(f"{order.program} is neither a .py file nor a .wasm component")
    if server and (model or order.adapters):
        given = "--model" if model else "--adapter"
        raise InvalidArgument(f"{given} is for programs that run here; a server has loaded its own")
    if order.trace is not None:
        check_writable(order.trace)
    if server and order.record:
        raise InvalidArgument("--record is for programs that run here, or for `pie serve`")
    if server and order.private_hosts:
        raise InvalidArgument("--allow-private-host is for programs that run here, or for `pie serve`")


async def start(order: Order, model: str | None, server: str | None, api_key: str | None) -> int:
    """Imported by name: `run --help` needs neither, and each needs much that the other does not."""
    if server:
        there: Any = importlib.import_module("pie.cli.run_there")
        return int(await there.run_there(order, server, api_key))
    async with early_process() as early:
        here: Any = importlib.import_module("pie.cli.run_here")
        return int(await here.run_here(order, model, early))
