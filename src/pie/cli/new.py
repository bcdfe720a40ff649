"""`pie new`: a working program to start from."""

import keyword
import re
import sys
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from pie.core.errors import InvalidArgument, WrongState

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)

TEMPLATES = Path(__file__).parent / "templates"
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the program and its folder, like my-robot.")],
) -> None:
    """Write a small working program, its test and a README into a new folder.

    **Examples**

    - `pie new robot && pie run robot/robot.py`
    """
    check_name(name)
    folder = Path(name)
    if folder.exists():
        raise WrongState(f"{folder} exists already: choose another name, or remove it")
    module = name.replace("-", "_")
    for template in sorted(path for path in TEMPLATES.rglob("*") if path.is_file()):
        write(template, folder, {"name": name, "module": module})
    print(f"made {folder}/; now: pie run {folder}/{module}.py", file=sys.stderr)


def check_name(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise InvalidArgument(
            f"{name!r} is no name for a program: take lower-case letters, digits and -, like my-robot"
        )


def write(template: Path, folder: Path, words: dict[str, str]) -> None:
    """`NAME` in a template's path and `$name`, `$module` in its text stand for the program."""
    place = str(template.relative_to(TEMPLATES)).replace("NAME", words["module"]).removesuffix(".template")
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(Template(template.read_text()).safe_substitute(words))
