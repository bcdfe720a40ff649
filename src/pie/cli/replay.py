"""`pie replay`: a record's decisions once more."""

from pathlib import Path
from typing import Annotated

import typer

from pie.cli.failures import FAILED
from pie.cli.listing import print_json
from pie.cli.options import JsonOption
from pie.control.record_file import read_record
from pie.control.replaying import Replayed, replay
from pie.core.errors import NotFound

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command(name="replay")
def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `--record` has written it.")],
    as_json: JsonOption = False,
) -> None:
    """Make a record's decisions once more, and say whether they are the same.

    `pie serve --record FILE` and `pie run --record FILE` write down what reaches the planner (commands,
    results of passes, times) and each pass that it decides on. The replay needs no model: the same stimuli
    go into a planner of the Pie that is installed now. So a strange schedule can be looked at again, and a
    change of the planner be held against what a real server has seen. Exit code 1 where something differs.

    **Examples**

    - `pie serve --record today.pie`, later `pie replay today.pie`

    - `pie run fork-and-join --record once.pie && pie replay once.pie`

    - `pie replay today.pie --json | jq .passes`
    """
    if not file.is_file():
        raise NotFound(f"there is no file {file}")
    result = replay(read_record(file))
    if as_json:
        print_json({name: getattr(result, name) for name in Replayed.__dataclass_fields__})
    else:
        print(told(result))
    if result.difference or result.broken:
        raise typer.Exit(FAILED)


def told(result: Replayed) -> str:
    """One line."""
    if result.difference:
        return f"first difference {result.difference}"
    same = f"same decisions: {result.passes:,} passes"
    if result.broken:
        return f"{same}, and then {result.broken}"
    end = "; the record ended there, as large as it might be" if result.full else ""
    return f"{same}, {result.stimuli:,} stimuli in {result.seconds:,.1f} s{end}"
