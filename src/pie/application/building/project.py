"""A program on disk: a file, or a folder with a program, its modules and its requirements."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from pie.application.building.imports import Import, imports
from pie.application.building.metadata import dependencies
from pie.core.errors import BadProgram, NotFound

REQUIREMENTS = "requirements.txt"
OURS = frozenset({"built", "bundle", "heap", "inferlet", "runner", "standard_library", "wit_world"})
"""Modules of the guest itself."""
PROVIDED = ("inferlet", "pie-llm")
"""Requirements that every sandbox meets."""


@dataclass(frozen=True, slots=True)
class Project:
    main: Path
    text: str
    modules: tuple[tuple[str, Path], ...]
    """Files beside the program, by the name under which they are imported."""
    requirements: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.main.stem

    def parse(self) -> list[tuple[Path, list[Import]]]:
        """What each file imports. Raises `BadProgram` with the line of a syntax error."""
        files = [self.main, *(path for _, path in self.modules)]
        return [(path, imports(parse(path.read_text(encoding="utf-8"), str(path)))) for path in files]


def parse(text: str, filename: str) -> ast.Module:
    """Raises `BadProgram` with the line of a syntax error."""
    try:
        return ast.parse(text, filename)
    except SyntaxError as error:
        raise BadProgram(f"{filename}, line {error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise BadProgram(f"{filename}: {error}") from None


def read_project(path: Path, extra: tuple[str, ...] = ()) -> Project:
    """`extra`: requirements beside those that the program names itself."""
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    folder = path if path.is_dir() else None
    main = _main_of(path) if path.is_dir() else path
    if main.suffix != ".py":
        raise BadProgram(f"{main} is no Python program: its name must end with .py")
    text = main.read_text(encoding="utf-8")
    wanted = [*dependencies(text, main.name), *(_requirements(folder) if folder else ()), *extra]
    return Project(main, text, tuple(_modules(folder, main) if folder else ()), _others(wanted))


def _main_of(folder: Path) -> Path:
    """`my_robot.py` in `my-robot`, or `main.py`, or the only program."""
    programs = [path for path in sorted(folder.glob("*.py")) if not _is_test(path)]
    named = [folder / f"{folder.resolve().name.replace('-', '_')}.py", folder / "main.py"]
    found = [path for path in named if path in programs] or programs
    if not found or (len(found) > 1 and found[0] not in named):
        there = ", ".join(path.name for path in programs) or "no .py file"
        raise BadProgram(f"{folder} has {there}: call the program main.py, or name the file itself")
    return found[0]


def _modules(folder: Path, main: Path) -> list[tuple[str, Path]]:
    found = []
    for path in sorted(folder.rglob("*.py")):
        inner = path.relative_to(folder)
        if path == main or _is_test(path) or any(part.startswith(".") for part in inner.parts):
            continue
        parts = inner.parent.parts if inner.name == "__init__.py" else (*inner.parent.parts, inner.stem)
        if all(part.isidentifier() for part in parts) and parts:
            found.append((".".join(parts), path))
    for name, path in found:
        if name in OURS:
            raise BadProgram(f"{path} has the name of a module of the sandbox itself: call it something else")
    return found


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py" or "tests" in path.parts[:-1]


def _requirements(folder: Path) -> list[str]:
    """Lines of `requirements.txt`, without comments."""
    file = folder / REQUIREMENTS
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    wanted = [line.partition(" #")[0].strip() for line in lines]
    for line in wanted:
        if line.startswith("-"):
            raise BadProgram(f"{file} has the option {line}: it may name packages and their versions only")
    return [line for line in wanted if line and not line.startswith("#")]


def _others(wanted: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in wanted if _name(each) not in PROVIDED))


def _name(requirement: str) -> str:
    """A requirement's package, as registries spell it."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")
