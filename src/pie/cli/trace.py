"""`pie trace`: where a program's time went."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pie.cli.options import KeyOption, ServerOption
from pie.cli.trace_file import check_writable, write_trace
from pie.client import Client

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command()
def trace(
    id: Annotated[str, typer.Argument(help="As in `pie ps`; it may have ended.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead.")
    ] = None,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """Show where a program's time went, as a timeline.

    Open the file in https://ui.perfetto.dev or chrome://tracing: when the program ran, what it called, how
    long its queues waited for a pass, the passes it took part in, when its pages were off the device, what
    it waited for outside (http, sleep, receive, children), and the same of the programs that it spawned.

    **Examples**

    - `pie trace 4f2a -o timeline.json`

    - `pie trace 4f2a | gzip > timeline.json.gz` (the viewers read that, too)

    - `pie run my_agent.py --trace timeline.json` needs no server
    """
    if output is not None:
        check_writable(output)
    with Client(server, api_key) as client:
        timeline = client.trace(id)
    if output is None:
        json.dump(timeline, sys.stdout, separators=(",", ":"))
        sys.stdout.write("\n")
    else:
        write_trace(output, timeline)
        spans = sum(event["ph"] in "Xb" for event in timeline["traceEvents"])
        print(f"{spans} spans in {output}: open it in https://ui.perfetto.dev", file=sys.stderr)
