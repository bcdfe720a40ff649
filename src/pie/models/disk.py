"""Writing large files: hashed on the way, with progress, and one clear line when the disk is full."""

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pie.core.errors import OutOfResources, Unavailable
from pie.core.progress import Step

CHUNK_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)


def chunks(file: BinaryIO) -> Iterator[bytes]:
    while data := file.read(CHUNK_BYTES):
        yield data


def hash_file(path: Path, step: Step) -> str:
    """SHA-256 in hexadecimal; `step` counts bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for data in chunks(file):
            digest.update(data)
            step.advance(len(data))
    return digest.hexdigest()


def copy_hashed(source: BinaryIO, target: Path, most_bytes: int, step: Step) -> str:
    """Copies a stream into a new file; SHA-256 in hexadecimal. Stops with `ValueError` past `most_bytes`."""
    digest, written = hashlib.sha256(), 0
    with target.open("xb") as file:
        for data in chunks(source):
            written += len(data)
            if written > most_bytes:
                raise ValueError(f"it is longer than the {most_bytes:,} bytes it says")
            digest.update(data)
            file.write(data)
            step.advance(len(data))
    return digest.hexdigest()


def check_space(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise disk_full(folder, f"{megabytes(needed_bytes)} are needed, {megabytes(free)} are free")


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def disk_full(folder: Path, detail: str) -> OutOfResources:
    return OutOfResources(
        f"the disk that holds {folder} is full ({detail}); free some space, or set PIE_HOME to another disk"
    )


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turns the operating system's complaints about `folder` into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(folder, "nothing more can be written") from error
        place, reason = error.filename or folder, error.strerror or str(error)
        raise Unavailable(
            f"cannot use {place}: {reason}; set PIE_HOME to a folder you may write to"
        ) from error
