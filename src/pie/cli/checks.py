"""What `pie doctor` looks at. Each check is a function that looks and changes nothing."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from pie.checksum import crc32_of
from pie.cli.main import NEWEST, OLDEST
from pie.core.errors import NotFound, PieError
from pie.models import ModelStore
from pie.serving import try_port
from pie.settings import Settings

Level = Literal["ok", "warn", "fail"]
GIB = 1 << 30
OLDEST_GLIBC = (2, 28)
DISK_NEEDED, DISK_WANTED = 1 * GIB, 4 * GIB
MEMORY_WANTED = 3 * GIB


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `todo` says what to do where the level is not ok."""

    name: str
    level: Level
    text: str
    todo: str = ""


def check_python(settings: Settings) -> Iterator[Check]:
    del settings
    fits = OLDEST <= sys.version_info[:2] <= NEWEST
    todo = f"use Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    yield Check("python", "ok" if fits else "fail", platform.python_version(), "" if fits else todo)


def check_packages(settings: Settings) -> Iterator[Check]:
    """What is pinned must be there exactly: we reach into the insides of wasmtime."""
    del settings
    for name, wanted in pinned_packages():
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Check(name, "fail", "not installed", f"pip install {name}=={wanted}")
            continue
        fits = found == wanted
        yield Check(name, "ok" if fits else "fail", found, "" if fits else f"pip install {name}=={wanted}")


def pinned_packages() -> list[tuple[str, str]]:
    """(name, version) of what our own distribution requires with `==`."""
    try:
        lines = requires("pie-llm") or []
    except PackageNotFoundError:
        return []
    pins = [line.split("==") for line in lines if "==" in line and "extra" not in line]
    return [(name.strip(), wanted.strip()) for name, wanted in pins]


def check_libc(settings: Settings) -> Iterator[Check]:
    del settings
    name, found = platform.libc_ver()
    if sys.platform != "linux":
        yield Check("C library", "warn", sys.platform, "Pie is tested on Linux only")
    elif name != "glibc":
        yield Check("C library", "fail", name or "not glibc", "use a distribution with glibc 2.28 or newer")
    else:
        fits = tuple(map(int, found.split(".")[:2])) >= OLDEST_GLIBC
        todo = "" if fits else "use a distribution with glibc 2.28 or newer"
        yield Check("C library", "ok" if fits else "fail", f"glibc {found}", todo)


def check_home(settings: Settings) -> Iterator[Check]:
    """Writable, and with room. A folder that does not exist yet is judged by the one it would stand in."""
    home = settings.home.expanduser().absolute()
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            yield Check("PIE_HOME", "ok", str(home))
    except OSError as error:
        todo = "set PIE_HOME to a folder of yours"
        yield Check("PIE_HOME", "fail", f"cannot write to {place}: {error.strerror}", todo)
    free = shutil.disk_usage(place).free
    level: Level = "fail" if free < DISK_NEEDED else "warn" if free < DISK_WANTED else "ok"
    todo = "" if level == "ok" else "make room, or set PIE_HOME to a folder on another disk"
    yield Check("disk", level, f"{free / GIB:.1f} GiB free", todo)


def check_model(settings: Settings) -> Iterator[Check]:
    store = ModelStore(settings.home)
    damaged = store.damaged()
    for each in damaged:
        yield Check("model", "fail", each.problem, f"pie model rm {each.name}, then pull it again")
    if settings.model in [each.name for each in damaged]:
        return
    try:
        model = store.get(settings.model)
    except NotFound:
        yield Check("model", "warn", f"{settings.model} is not here yet", "pie setup")
    except PieError as error:
        yield Check("model", "fail", str(error), "pie model pull")
    else:
        yield Check("model", "ok", f"{model.name} ({model.size_bytes / 1e6:.0f} MB, {model.source})")


def check_caches(settings: Settings) -> Iterator[Check]:
    """Machine code is only read from a folder that nobody else writes."""
    compiled = settings.home.expanduser() / "compiled"
    if not compiled.exists():
        yield Check("runner", "warn", "the sandbox's Python is not built yet", "pie setup")
        return
    yield from damaged_code(compiled)
    facts = compiled.stat()
    safe = facts.st_uid == os.getuid() and not facts.st_mode & 0o077
    todo = "" if safe else f"rm -r {compiled}; it is built again"
    text = f"{compiled}" if safe else f"others can write to {compiled}"
    yield Check("runner", "ok" if safe else "fail", text, todo)


def damaged_code(compiled: Path) -> Iterator[Check]:
    """Each file of machine code has its sum beside it."""
    for code in sorted(compiled.glob("*.cwasm")):
        written = code.with_suffix(".crc32")
        if not written.exists() or written.read_text() != crc32_of(code):
            yield Check("runner", "warn", f"{code} is damaged", "nothing: it is made again when it is needed")


def check_port(settings: Settings) -> Iterator[Check]:
    try:
        try_port(settings)
    except PieError as error:
        ours = "a Pie server" in str(error)
        yield Check("port", "ok" if ours else "warn", str(error), "" if ours else "pie serve --port N")
    else:
        yield Check("port", "ok", f"{settings.port} is free")


def check_device(settings: Settings) -> Iterator[Check]:
    """Asks torch in a process of its own: it takes seconds to load, and only a GPU is in question."""
    if settings.device == "cpu":
        yield Check("device", "ok", "cpu")
        return
    ask = [sys.executable, "-m", "pie.inference.devices", settings.device]
    found = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=120)
    fits = found.returncode == 0
    text = (found.stdout if found.stdout else found.stderr).strip()
    yield Check("device", "ok" if fits else "fail", text, "" if fits else "set PIE_DEVICE to cpu")


def check_machine(settings: Settings) -> Iterator[Check]:
    cores = settings.threads
    yield Check("cores", "ok", str(cores))
    available = memory_available()
    if available is None:
        return
    enough = available >= MEMORY_WANTED
    todo = "" if enough else "close other programs: the default model and its pages take about 2 GiB"
    yield Check("memory", "ok" if enough else "warn", f"{available / GIB:.1f} GiB available", todo)


def memory_available() -> int | None:
    """Bytes, where the system tells (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), None)


CHECKS: tuple[Callable[[Settings], Iterator[Check]], ...] = (
    check_python,
    check_packages,
    check_libc,
    check_home,
    check_model,
    check_caches,
    check_port,
    check_device,
    check_machine,
)
