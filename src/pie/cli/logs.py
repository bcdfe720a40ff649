"""`pie logs`: what a program printed."""

import sys
from typing import Annotated

import typer

from pie.cli.listing import print_json
from pie.cli.options import JsonOption, KeyOption, ServerOption
from pie.client import Client

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command()
def logs(
    id: Annotated[str, typer.Argument(help="As in `pie ps`.")],
    server: ServerOption = None,
    api_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a program printed so far: its standard output and standard error, each on ours.

    **Examples**

    - `pie logs 4f2a`

    - `pie logs 4f2a --json`
    """
    with Client(server, api_key) as client:
        pieces = client.logs(id)
    if as_json:
        print_json(pieces)
        return
    for piece in pieces:
        stream = sys.stderr if piece["stream"] == "stderr" else sys.stdout
        stream.write(piece["text"])
        stream.flush()
