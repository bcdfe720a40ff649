"""`pie cancel`: ends programs of a server."""

from typing import Annotated

import typer

from pie.cli.options import KeyOption, ServerOption
from pie.client import Client

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command()
def cancel(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As in `pie ps`.")],
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """End programs at once; whoever launched them gets an error that says so. Harmless when they have ended.

    **Examples**

    - `pie cancel 4f2a`

    - `pie ps --json | jq -r '.[].id' | xargs pie cancel` ends all of them
    """
    with Client(server, api_key) as client:
        for id in ids:
            client.cancel(id)
