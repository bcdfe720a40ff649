"""The runner guest: executes programs given as source text; built on the user's machine."""

import hashlib
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from pie.application.cache import keep, private_folder, sha256_of
from pie.application.data import runner_folder, sdk_folder, wit_folder
from pie.application.workshop import run_worker
from pie.core.progress import Progress

WORLD = "runner"


def ingredients() -> Iterator[tuple[str, bytes]]:
    """Everything the runner is made of: names and contents."""
    yield "componentize-py", version("componentize-py").encode()
    folders = [wit_folder(), runner_folder(), sdk_folder() / "inferlet"]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".wit"):
                yield f"{folder.name}/{path.relative_to(folder)}", path.read_bytes()


def runner_key() -> str:
    """Changes whenever the runner has to be built again."""
    digest = hashlib.sha256()
    for name, content in ingredients():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


async def built_runner(folder: Path, seconds: float, progress: Progress) -> tuple[Path, str]:
    """The runner component and the SHA-256 of its bytes; built at first need, which takes some 15 s."""
    path = private_folder(folder) / f"{runner_key()}.wasm"
    sum_file = path.with_suffix(".sha256")
    if not (path.exists() and sum_file.exists() and sum_file.read_text() == sha256_of(path)):
        with progress.start("Building the runner guest"):
            await _build(path, sum_file, seconds)
    return path, sum_file.read_text()


async def _build(path: Path, sum_file: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        await run_worker(["build", wit_folder(), WORLD, made, runner_folder(), sdk_folder()], seconds)
        keep(made, path, sum_file)
