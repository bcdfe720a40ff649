"""Building and compiling, in processes of their own: they take seconds, gigabytes and foreign input."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from pie.core.errors import BadProgram, InternalError, PieError, Unavailable

BAD_INPUT = 65
"""Exit status for a component that does not compile, and for a program that cannot be made into one."""
NO_SPACE = "No space left on device"
WORKER = "pie.application.worker"


async def run_worker(arguments: Sequence[str | Path], seconds: float) -> None:
    """Runs `worker.py` in a process and waits. Raises `BadProgram` with what the worker said about a
    component, `InternalError` when it failed or took too long."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        WORKER,
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise BadProgram(f"{arguments[0]} took longer than {seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _failure(str(arguments[0]), process.returncode, output.decode(errors="replace").strip())


def _failure(task: str, status: int, output: str) -> PieError:
    if status == BAD_INPUT and task == "compile":
        return BadProgram(f"this is no component that can be compiled: {output}")
    if NO_SPACE in output:
        return Unavailable(f"{task} failed, because the disk is full: free some space or set PIE_HOME")
    if status == BAD_INPUT and task == "bundle":
        return BadProgram(f"the program cannot be put into a component:\n{output}")
    said = output.partition("Stack backtrace:")[0]
    return InternalError(f"{task} failed with status {status}: {said[-2000:]}")
