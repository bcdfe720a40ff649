"""`pie ps`: the programs of a server."""

import time
from typing import Annotated, Any

import typer

from pie.cli.listing import print_json, print_table, shown_seconds
from pie.cli.options import JsonOption, KeyOption, ServerOption
from pie.client import Client

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)

COLUMNS = ("ID", "PROGRAM", "STATE", "AGE", "RAN", "TOKENS", "PAGES")


@app.command()
def ps(
    all: Annotated[bool, typer.Option("--all", "-a", help="Also those that ended recently.")] = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the programs that run on a server.

    **Examples**

    - `pie ps`

    - `pie ps --all` with those that ended recently

    - `pie ps --json | jq -r '.[].id'`
    """
    with Client(server, api_key) as client:
        found = client.instances()
    shown = [one for one in found if all or one["finished_at"] is None]
    if as_json:
        print_json(shown)
    else:
        print_table(COLUMNS, [row(one, time.time()) for one in shown])


def row(instance: dict[str, Any], now: float) -> tuple[str, ...]:
    began = instance["started_at"]
    ended = instance["finished_at"] or now
    usage = instance["usage"]
    return (
        instance["id"],
        instance["program"],
        instance["state"],
        shown_seconds(max(0.0, now - began)),
        shown_seconds(max(0.0, ended - began)),
        str(usage.get("tokens", "")),
        str(usage.get("pages", "")),
    )
