"""Machine code on disk: compiled once, mapped into memory at every later start.

An entry is two files, `KEY.cwasm` and `KEY.crc32`. Loading machine code is executing it, so the folder
belongs to us alone (mode 0700); damage shows in the sum, which is checked before every load, and what does
not fit is compiled again.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import wasmtime
from wasmtime import component

from pie.application.engine import CONFIGURATION
from pie.application.workshop import run_worker
from pie.checksum import crc32_of
from pie.core.errors import InternalError, OperatorError, Unavailable
from pie.core.progress import Progress

MOST_COMPILED = 32
"""Entries; one of a Python program has some 60 MB. What is launched again becomes new again."""


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def private_folder(path: Path) -> Path:
    """A folder that only we may enter. Raises `Unavailable` where it belongs to somebody else."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise disk_problem(path, error) from error
    if path.stat().st_uid != os.getuid():
        raise Unavailable(f"{path} belongs to another user; remove it or set PIE_HOME")
    return path


def disk_problem(path: Path, error: OSError) -> OperatorError:
    return Unavailable(f"cannot write to {path}: {error.strerror or error}; free some space or set PIE_HOME")


def keep(
    made: Path, path: Path, sum_file: Path, most: int, sum_of: Callable[[Path], str] = sha256_of
) -> None:
    """Moves a finished file to its place, with its sum beside it; of its kind, the newest `most` stay."""
    try:
        sum_file.write_text(sum_of(made))
        made.replace(path)
        files = sorted(path.parent.glob(f"*{path.suffix}"), key=lambda each: each.stat().st_mtime)
        for old in files[:-most]:
            old.unlink(missing_ok=True)
            old.with_suffix(sum_file.suffix).unlink(missing_ok=True)
    except OSError as error:
        raise disk_problem(path, error) from error


class CompiledCache:
    """Components as machine code, by the SHA-256 of their bytes."""

    def __init__(self, folder: Path, engine: wasmtime.Engine, seconds: float) -> None:
        self._folder = private_folder(folder)
        self._engine = engine
        self._seconds = seconds

    def load(self, digest: str) -> component.Component | None:
        """The machine code of a component that was compiled before and is undamaged."""
        code, sum_file = self._files(digest)
        if not code.exists():
            return None
        try:
            if sum_file.read_text() == crc32_of(code):
                code.touch()
                return component.Component.deserialize_file(self._engine, str(code))
        except (OSError, ValueError, wasmtime.WasmtimeError) as error:
            logging.getLogger(__name__).warning("compiled code %s cannot be used: %s", code, error)
            return None
        logging.getLogger(__name__).warning("compiled code %s is damaged; compiling again", code)
        return None

    async def compile(self, source: Path, digest: str, label: str, progress: Progress) -> component.Component:
        """Compiles a component in a process of its own and keeps the result. Raises `BadProgram`."""
        code, sum_file = self._files(digest)
        with progress.start(label), tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            made = Path(scratch) / code.name
            await run_worker(["compile", source, made], self._seconds)
            keep(made, code, sum_file, MOST_COMPILED, crc32_of)
        loaded = self.load(digest)
        if loaded is None:
            raise InternalError(f"freshly compiled code {code} cannot be loaded")
        return loaded

    def _files(self, digest: str) -> tuple[Path, Path]:
        words = f"{digest};{version('wasmtime')};{CONFIGURATION};crc32"
        key = hashlib.sha256(words.encode()).hexdigest()[:32]
        return self._folder / f"{key}.cwasm", self._folder / f"{key}.crc32"
