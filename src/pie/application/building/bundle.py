"""From a program to a component that needs nothing but a server: interpreter, library, program, its packages.

The component is built from the same guest as the runner, with the program's text inside. What it imports
is imported before the snapshot is taken, since a sandbox has no files. Two builds of the same input differ in
some bytes (the interpreter draws a seed for its hashes), so a build is kept under a key of its input, and the
same input gives the same component as long as it is kept.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pie.application.building.imports import missing
from pie.application.building.project import OURS, Project
from pie.application.building.wheels import Package, fetch
from pie.application.cache import keep, private_folder, sha256_of
from pie.application.runner import WORLD, ingredients
from pie.application.workshop import run_worker
from pie.core.errors import BadProgram
from pie.core.progress import Progress
from pie.data import runner_folder, sdk_folder, wit_folder

MOST_BUILT = 8
NO_MODULES = frozenset({"tests", "test", "testing", "__main__", "conftest", "__pycache__"})
"""Parts of packages that programs do not import."""


@dataclass(frozen=True, slots=True)
class Built:
    path: Path
    """In the cache; copy it from there."""
    digest: str
    """SHA-256 of the component, by which servers know it."""
    packages: tuple[Package, ...]
    cached: bool


async def build(project: Project, home: Path, seconds: float, progress: Progress) -> Built:
    """Raises `BadProgram`: a syntax error, an import that nothing brings, a package with native code."""
    project.parse()
    folder = private_folder(home / "built")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        program, packages = _folders(Path(scratch), "program", "packages")
        found: list[Package] = []
        if project.requirements:
            with progress.start("Fetching packages"):
                found = await fetch(project.requirements, packages, seconds)
        names = [*(name for name, _ in project.modules), *modules_in(packages)]
        check_imports(project, names)
        lay_out(project, names, program)
        return await _make(folder, (program, packages), found, seconds, progress)


def _folders(parent: Path, *names: str) -> list[Path]:
    for name in names:
        (parent / name).mkdir()
    return [parent / name for name in names]


async def _make(
    folder: Path, parts: Sequence[Path], found: Sequence[Package], seconds: float, progress: Progress
) -> Built:
    path = folder / f"{build_key(parts)}.wasm"
    sums = path.with_suffix(".sha256")
    if sums.exists() and path.exists() and sums.read_text() == sha256_of(path):
        path.touch()
        return Built(path, sums.read_text(), tuple(found), cached=True)
    with progress.start("Building the component"):
        made = parts[0].parent / path.name
        await run_worker(["bundle", wit_folder(), WORLD, made, *parts, runner_folder()], seconds)
        keep(made, path, sums, MOST_BUILT)
    return Built(path, sums.read_text(), tuple(found), cached=False)


def check_imports(project: Project, brought: Sequence[str]) -> None:
    """Raises `BadProgram` with every import that neither the sandbox nor the packages have."""
    gaps = [
        f"{path}, line {each.line}: no module {each.module}"
        for path, imports in project.parse()
        for each in missing(imports, brought)
    ]
    if gaps:
        raise BadProgram(
            "\n".join(gaps) + "\nneither the sandbox nor the packages have them: name what brings them with "
            "`--with PACKAGE`"
        )


def lay_out(project: Project, names: Sequence[str], folder: Path) -> None:
    """Everything of the component that is no package: the library, the program's modules, its text."""
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(sdk_folder() / "inferlet", folder / "inferlet", ignore=compiled)
    for name, path in project.modules:
        target = folder.joinpath(*name.split(".")).with_suffix(".py")
        if path.name == "__init__.py":
            target = target.with_suffix("") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    required = sorted({each.module for _, found in project.parse() for each in found if each.module in names})
    values = {
        "FILENAME": project.main.name,
        "TEXT": project.text,
        "REQUIRED": required,
        "MODULES": sorted(names),
    }
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    (folder / "bundle.py").write_text("\n".join(lines) + "\n", encoding="utf-8")


def modules_in(folder: Path) -> list[str]:
    """The modules of unpacked packages, as they are imported."""
    names = sorted(_modules_in(folder))
    for name in names:
        if name in OURS:
            raise BadProgram(f"a package brings the module {name}, which is the sandbox's own")
    return names


def _modules_in(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        parts = list(path.relative_to(folder).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts and all(part.isidentifier() for part in parts) and not NO_MODULES & set(parts):
            yield ".".join(parts)


def build_key(folders: Sequence[Path]) -> str:
    """Changes with anything that goes into the component."""
    digest = hashlib.sha256()
    for name, content in (*ingredients(), *_files(folders)):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def _files(folders: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """pip's own records are left out: they tell how a package came here."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.parent.suffix != ".dist-info" and "__pycache__" not in path.parts:
                yield f"{folder.name}/{path.relative_to(folder)}", path.read_bytes()
