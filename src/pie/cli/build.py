"""`pie build`: a program and its packages as one component."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from pie.application.building import Built, build, read_project
from pie.cli.listing import print_json
from pie.cli.loop import run_async
from pie.cli.options import JsonOption, load_settings
from pie.cli.progress import BarProgress

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)

SECONDS = 600.0
"""Bound on fetching packages, and on building."""


@app.command(name="build")
def build_verb(
    program: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="A .py file, or a folder with one.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="OUT", help="Where it goes [default: NAME.wasm].")
    ] = None,
    packages: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="PACKAGE", help="Another package to put inside; may be given again."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a component that carries its packages with it, to run it anywhere.

    Packages are those that the program names itself, in a block `# /// script` with
    `dependencies = ["humanize"]`, those in the folder's `requirements.txt`, and those given by `--with`. Only
    pure-Python ones can go inside. What is printed is the component's SHA-256, by which a server knows it.

    **Examples**

    - `pie build robot.py && pie run robot.wasm`

    - `pie build robot/ -o robot.wasm` takes the folder's other modules along

    - `pie build robot.py --with humanize`
    """
    project = read_project(program, tuple(packages or ()))
    target = out or Path(f"{project.name}.wasm")
    with BarProgress(f"Building {target.name}") as progress:
        built = run_async(build(project, load_settings().home, SECONDS, progress))
        shutil.copyfile(built.path, target)
    if as_json:
        print_json(described(built, target))
    else:
        show(built, target)


def described(built: Built, target: Path) -> dict[str, object]:
    return {
        "path": str(target),
        "sha256": built.digest,
        "bytes": target.stat().st_size,
        "packages": {package.name: package.version for package in built.packages},
        "cached": built.cached,
    }


def show(built: Built, target: Path) -> None:
    """The digest alone on standard output; what is inside on standard error."""
    inside = ", ".join(f"{package.name} {package.version}" for package in built.packages) or "no packages"
    again = ", as built before" if built.cached else ""
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, with {inside}{again}", file=sys.stderr)
    print(built.digest)
