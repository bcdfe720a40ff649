"""`pie check`: what is wrong with a program, and what it asks for, without running it."""

import ast
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pie.application.building import asks, dependencies, imports, missing, parse
from pie.application.building.imports import Import
from pie.cli.failures import FAILED
from pie.cli.listing import escape, print_json
from pie.cli.options import JsonOption, load_settings
from pie.cli.problems import Problem, Report
from pie.cli.progress import BarProgress
from pie.cli.types import HOW, has_mypy, type_problems
from pie.core.errors import BadProgram, InvalidArgument, NotFound

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)

GUEST_PYTHON = (3, 14)
SHOWN_ASKS = {
    "network": "network",
    "store": "the store",
    "spawn": "spawning programs",
    "topics": "topics",
    "export": "exporting pages",
    "import": "importing pages",
    "adapters": "adapters",
    "images": "images",
}


@app.command(name="check")
def check_verb(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Programs: .py files.")],
    as_json: JsonOption = False,
) -> None:
    """Check programs: syntax, imports that a sandbox lacks, types; and say what they ask for.

    Nothing is executed and no model is needed. The exit code is 1 if something is wrong. Types need mypy
    (`pip install 'pie-llm[check]'`); without it the rest is checked.

    **Examples**

    - `pie check robot.py`

    - `pie check inferlets/*/*.py --json | jq '.[].asks'`
    """
    for path in files:
        refuse_others(path)
    with BarProgress("Checking") as progress, progress.start("Checking", len(files)) as step:
        reports = []
        for path in files:
            reports.append(check(path, load_settings().home / "mypy"))
            step.advance()
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        show(reports)
    raise typer.Exit(FAILED if any(report.problems for report in reports) else 0)


def refuse_others(path: Path) -> None:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    if path.suffix != ".py":
        raise InvalidArgument(f"{path} is no Python program: its name must end with .py")


def check(path: Path, cache: Path) -> Report:
    report = Report(str(path))
    text = path.read_text(encoding="utf-8")
    try:
        tree = parse(text, str(path))
        wanted = dependencies(text, str(path))
    except BadProgram as error:
        return Report(str(path), [syntax_problem(str(error), str(path))])
    report.problems += import_problems(missing(imports(tree)), path, wanted)
    report.problems += main_problems(tree)
    report.asks += asks(tree)
    if wanted:
        report.notes.append(f"`pie build {path}` puts {', '.join(wanted)} inside")
    check_types(path, cache, report)
    report.problems.sort(key=lambda problem: problem.line)
    return report


def check_types(path: Path, cache: Path, report: Report) -> None:
    if has_mypy():
        report.problems += type_problems(path, cache)
    else:
        report.notes.append(HOW)


def syntax_problem(message: str, path: str) -> Problem:
    """From `FILE, line N: what`."""
    place, _, what = message.removeprefix(f"{path}, line ").partition(": ")
    newer = ""
    if sys.version_info[:2] < GUEST_PYTHON:
        newer = "read with Python {}.{}; a sandbox has {}.{}".format(*sys.version_info[:2], *GUEST_PYTHON)
    return Problem("syntax", int(place), what, newer) if place.isdecimal() else Problem("syntax", 0, message)


def import_problems(gaps: Sequence[Import], path: Path, wanted: Sequence[str]) -> list[Problem]:
    """With packages of its own a program may have what a plain sandbox lacks: `pie build` finds out."""
    return [
        Problem("import", gap.line, f"a sandbox has no module {gap.module}", import_remedy(gap, path))
        for gap in gaps
        if gap.root in sys.stdlib_module_names or not wanted
    ]


def import_remedy(gap: Import, path: Path) -> str:
    if gap.root in sys.stdlib_module_names:
        return "do without: it needs processes, sockets, screens or native libraries"
    if any((path.parent / f"{gap.root}{ending}").exists() for ending in (".py", "/__init__.py")):
        return f"pie build {path.parent or '.'} puts the folder's modules inside"
    return f"pie build {path} --with {gap.root} (or how the package is called), if it is pure Python"


def main_problems(tree: ast.Module) -> list[Problem]:
    """Parameters of `main` that no option can fill."""
    mains = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "main"
    ]
    return (
        [
            Problem("main", mains[-1].lineno, f"`main` takes {star}{each.arg}, which no option can fill")
            for star, each in (("*", mains[-1].args.vararg), ("**", mains[-1].args.kwarg))
            if each is not None
        ]
        if mains
        else []
    )


def show(reports: Sequence[Report]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for report in reports:
        verdict = "[green]ok[/]" if not report.problems else f"[red]{counted(len(report.problems))}[/]"
        console.print(f"[bold]{escape(report.file)}[/]: {verdict}")
        for problem in report.problems:
            place = f"line {problem.line}" if problem.line else "file"
            console.print(f"  [red]{place:<9}[/] {escape(problem.message)}")
            if problem.remedy:
                console.print(f"  {'':<9} [dim]→[/] {escape(problem.remedy)}")
        show_rest(console, report)


def show_rest(console: Console, report: Report) -> None:
    for ask in report.asks:
        hosts = f" ({', '.join(ask.hosts)})" if ask.hosts else ""
        console.print(f"  [cyan]asks for[/]  {SHOWN_ASKS[ask.what]}{escape(hosts)}, line {ask.line}")
    for note in report.notes:
        console.print(f"  [dim]note[/]      {escape(note)}")


def counted(problems: int) -> str:
    return "1 problem" if problems == 1 else f"{problems} problems"
