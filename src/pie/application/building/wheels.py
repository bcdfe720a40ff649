"""Pure-Python packages for a program, fetched by pip. Nothing of them runs on the host."""

import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pie.core.errors import BadProgram, Timeout, Unavailable

GUEST_PYTHON = "3.14"
"""The interpreter inside componentize-py."""
PIP = (
    sys.executable,
    "-m",
    "pip",
    "install",
    "--quiet",
    "--no-input",
    "--no-compile",
    "--no-warn-conflicts",
    "--disable-pip-version-check",
    "--only-binary=:all:",
    "--platform=any",
    "--implementation=py",
    "--abi=none",
    f"--python-version={GUEST_PYTHON}",
)
NOT_FOUND = re.compile(r"No matching distribution found for ([^\s(]+)")
OFFLINE = (
    "Temporary failure in name resolution",
    "Failed to establish a new connection",
    "Network is unreachable",
)


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str


async def fetch(requirements: Sequence[str], folder: Path, seconds: float) -> list[Package]:
    """Unpacks what is required, and what that requires, into a folder. Only `py3-none-any` wheels.

    Raises `BadProgram` for a package that has none, `Unavailable` without a network or without pip.
    """
    status, said = await _run_pip(requirements, folder, seconds)
    if status:
        raise _failure(said)
    return packages(folder)


def packages(folder: Path) -> list[Package]:
    found = [info.name.removesuffix(".dist-info").partition("-") for info in folder.glob("*.dist-info")]
    return sorted((Package(name, version) for name, _, version in found), key=lambda each: each.name.lower())


async def _run_pip(requirements: Sequence[str], folder: Path, seconds: float) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *PIP,
        "--target",
        str(folder),
        "--",
        *requirements,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise Timeout(f"fetching {', '.join(requirements)} took longer than {seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace")


def _failure(said: str) -> BadProgram | Unavailable:
    if "No module named pip" in said:
        return Unavailable(f"{sys.executable} has no pip, which fetches packages: python -m ensurepip")
    if any(sign in said for sign in OFFLINE):
        return Unavailable("the package registry cannot be reached: try again with a network")
    found = NOT_FOUND.search(said)
    if found:
        return BadProgram(
            f"{found[1]} has no pure-Python wheel for Python {GUEST_PYTHON} (py3-none-any): sandboxes run no "
            "native code, so choose another package, or check the name"
        )
    last = [line for line in said.strip().splitlines() if line.startswith("ERROR")] or [said.strip()]
    return BadProgram(f"the packages cannot be fetched: {last[-1].removeprefix('ERROR: ')}")
