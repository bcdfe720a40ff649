"""The runner guest: executes programs given as source text; built on the user's machine."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from pie.application import immortals
from pie.application.cache import keep, private_folder, sha256_of
from pie.application.workshop import run_worker
from pie.core.progress import Progress
from pie.data import runner_folder, sdk_folder, wit_folder

WORLD = "runner"
MOST_BUILT = 4
"""Runners of different versions that are kept."""


def ingredients() -> Iterator[tuple[str, bytes]]:
    """Everything the runner is made of: names and contents."""
    yield "componentize-py", version("componentize-py").encode()
    yield "immortals", Path(immortals.__file__).read_bytes()
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


class RunnerFiles:
    """The built runner on disk, under a name that tells what it was made of."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._path = private_folder(folder) / f"{runner_key()}.wasm"
        self._sum = self._path.with_suffix(".sha256")
        self._seconds = seconds

    def digest(self) -> str | None:
        """SHA-256 of the runner, if it was built before. The file itself may have been damaged since."""
        try:
            os.utime(self._path)  # stays among the newest that are kept
            return self._sum.read_text()
        except (OSError, ValueError):
            return None

    async def make(self, progress: Progress) -> tuple[Path, str]:
        """The component and its SHA-256; built where it is missing or damaged, which takes some 20 s."""
        digest = self.digest()
        if digest is None or digest != await asyncio.to_thread(sha256_of, self._path):
            with progress.start("Building the runner guest"):
                await self._build()
        return self._path, self._sum.read_text()

    async def _build(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._path.parent) as scratch:
            made = Path(scratch) / self._path.name
            paths = (runner_folder(), sdk_folder())
            await run_worker(["build", wit_folder(), WORLD, made, *paths], self._seconds)
            keep(made, self._path, self._sum, MOST_BUILT)
