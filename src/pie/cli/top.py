"""`pie top`: what a server and its programs do, live.

Rich draws it, which the other verbs need anyway; a framework for terminal applications would be a dependency
more and start several times slower, for a table that nobody types into (`docs/decisions/0023`).
"""

import asyncio
import shutil
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from pie.cli.listing import print_json
from pie.cli.loop import run_async
from pie.cli.options import JsonOption, KeyOption, ServerOption
from pie.cli.top_sample import Look, Sample, make_sample
from pie.cli.top_table import render
from pie.client import AsyncClient
from pie.client.errors import ClientError
from pie.core.errors import InvalidArgument

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command()
def top(
    interval: Annotated[
        float, typer.Option("--interval", "-d", min=0.05, metavar="SECONDS", help="Between two looks.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one table, with all programs.")] = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch what a server and its programs do; Ctrl-C ends it.

    First a line for each model: input tokens a second, time of a pass, queues that one pass serves, commands
    that wait, pages on the device and in host memory. Then a line for each program, the busiest first. Its
    STATE is **running**; **computing**, where it used up its slice of time; **model** or **tool**, which it
    waits for; **suspended**, while others need its pages; **starting**, or **waiting** for a place.

    **Examples**

    - `pie top`

    - `pie top --once | sort -k3` all programs, once

    - `pie top --json | jq '.models[0].tokens_per_second'` for scripts
    """
    run_async(show(server, api_key, interval, once, as_json))


async def show(server: str | None, api_key: str | None, interval: float, once: bool, as_json: bool) -> None:
    async with AsyncClient(server, api_key) as client:
        if once or as_json:
            sample = await look_twice(client, interval)
            if as_json:
                print_json(as_plain(sample))
            else:
                width = shutil.get_terminal_size((120, 24)).columns
                console = Console(width=width, highlight=False)
                console.print(render(sample, client.address.url, width, None))
        elif not sys.stdout.isatty():
            raise InvalidArgument("standard output is no terminal: use pie top --once, or --json")
        else:
            await watch(client, interval)


async def look_twice(client: AsyncClient, interval: float) -> Sample:
    before = await client.statistics()
    await asyncio.sleep(interval)
    return make_sample(before, await client.statistics())


async def watch(client: AsyncClient, interval: float) -> None:
    """Until cancelled. Goes on when the server has gone and comes back. Raises `ClientError` where there is
    none at the beginning."""
    console = Console(highlight=False)
    before: Look = {"at": time.time(), "rows": [], "models": {}, "programs": {"launched": 0, "ended": {}}}
    sample = make_sample(before, before)
    await client.version()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            trouble = ""
            try:
                after = await client.statistics()
            except ClientError as error:
                trouble = str(error)
            else:
                sample, before = make_sample(before, after), after
            size = console.size
            live.update(render(sample, client.address.url, size.width, size.height, trouble), refresh=True)
            await asyncio.sleep(interval)


def as_plain(sample: Sample) -> dict[str, object]:
    return sample._asdict() | {
        "models": [each._asdict() for each in sample.models],
        "programs": [each._asdict() for each in sample.programs],
    }
