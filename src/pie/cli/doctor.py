"""`pie doctor`: looks at everything a run needs and says what to do."""

from dataclasses import asdict

import typer
from rich.console import Console

from pie.cli.checks import CHECKS, Check
from pie.cli.failures import FAILED
from pie.cli.listing import escape, print_json
from pie.cli.options import JsonOption, load_settings

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check Python, packages, disk, model, caches, port and memory. The exit code is 1 if something fails.

    **Examples**

    - `pie doctor`

    - `pie doctor --json | jq -r '.[] | select(.level == "fail") | .todo'`
    """
    settings = load_settings()
    found = [result for check in CHECKS for result in check(settings)]
    if as_json:
        print_json([asdict(result) for result in found])
    else:
        show(found)
    raise typer.Exit(FAILED if any(result.level == "fail" for result in found) else 0)


def show(found: list[Check]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for result in found:
        todo = f" → {result.todo}" if result.todo else ""
        color = COLORS[result.level]
        console.print(f"[{color}]{result.level:<4}[/]  {result.name:<14} {escape(result.text + todo)}")
