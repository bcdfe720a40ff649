"""The verbs, and what happens around each of them."""

import signal
import sys
from typing import Annotated, NoReturn

import typer

from pie import __version__
from pie.cli.failures import Interrupted, one_line_failures
from pie.cli.lazy import Verb, lazy_group

VERBS = {
    "run": Verb("pie.cli.run", "Run a program: a .py file, a component, or a standard inferlet."),
    "serve": Verb("pie.cli.serve", "Start a server that runs programs for its clients."),
    "new": Verb("pie.cli.new", "Write a working program to start from."),
    "check": Verb("pie.cli.check", "Say what is wrong with a program, and what it asks for."),
    "build": Verb("pie.cli.build", "Make a component of a program and its packages."),
    "top": Verb("pie.cli.top", "Watch what a server and its programs do."),
    "ps": Verb("pie.cli.ps", "List the programs of a server."),
    "logs": Verb("pie.cli.logs", "Show what a server's program printed."),
    "trace": Verb("pie.cli.trace", "Show where a program's time went."),
    "replay": Verb("pie.cli.replay", "Make a record's decisions once more, and compare."),
    "cancel": Verb("pie.cli.cancel", "End a server's program."),
    "model": Verb("pie.cli.model", "Fetch, list, show and remove models."),
    "setup": Verb("pie.cli.setup", "Do once what a first run would wait for."),
    "doctor": Verb("pie.cli.doctor", "Check this machine and say what to do."),
}

app = typer.Typer(
    cls=lazy_group(VERBS),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pie {__version__}")
        raise typer.Exit


@app.callback()
def pie(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Programs that run next to a language model.

    **Examples**

    - `pie run text-completion -- --prompt "Once upon a time"` runs a standard inferlet, without a server

    - `pie new robot && pie run robot/robot.py` makes a program of your own and runs it

    - `pie serve` starts a server; `pie run --server http://127.0.0.1:8642 hello` uses it
    """
    del version


def interrupt(*_: object) -> NoReturn:
    raise Interrupted


def run() -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    with one_line_failures():
        app(prog_name="pie", args=sys.argv[1:])
