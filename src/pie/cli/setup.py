"""`pie setup`: everything that a first run would wait for."""

import sys
from typing import Annotated

import typer

from pie.cli.loop import run_async
from pie.cli.options import load_settings
from pie.cli.progress import BarProgress
from pie.launch import prepare
from pie.settings import Settings

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command()
def setup(
    model: Annotated[
        str | None, typer.Option(help="The model to prepare [default: the default model].")
    ] = None,
) -> None:
    """Fetch the model, prepare its weights, and build the sandbox's Python.

    Takes a minute or two the first time and a second after that. Needs the network only for the model.

    **Examples**

    - `pie setup`

    - `PIE_HOME=/data/pie pie setup` keeps everything on another disk
    """
    settings = load_settings(model=model)
    run_async(set_up(settings))
    print(f"ready: {settings.model} in {settings.home}", file=sys.stderr)


async def set_up(settings: Settings) -> None:
    with BarProgress("Setting up") as progress:
        await prepare(settings, progress)
