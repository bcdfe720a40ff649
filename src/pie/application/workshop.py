"""Building and compiling, in processes of their own: they take seconds, gigabytes and foreign input.

`python -m pie.application.workshop build WIT WORLD OUT PATH...` makes the runner component,
`... compile IN OUT` turns a component into machine code.
"""

import asyncio
import importlib
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import wasmtime
from wasmtime import component

from pie.application.engine import make_engine
from pie.core.errors import BadProgram, InternalError, PieError

MOST_BYTES = 12 << 30
"""Address space of a worker."""
BAD_INPUT = 65
"""Exit status for a component that does not compile."""
RUNNER_MODULE = "runner"


async def run_worker(arguments: Sequence[str | Path], seconds: float) -> None:
    """Runs this module in a process and waits. Raises `BadProgram` with what the worker said about a
    component, `InternalError` when it failed or took too long."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
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
    if status == BAD_INPUT:
        return BadProgram(f"this is no component that can be compiled: {output}")
    said = output.partition("Stack backtrace:")[0]
    return InternalError(f"{task} failed with status {status}: {said[-2000:]}")


def build(wit: str, world: str, out: str, *paths: str) -> int:
    """The runner component from its source and the SDK's."""
    script = importlib.import_module("componentize_py").script  # big and native: only this process needs it

    search = [word for path in paths for word in ("-p", path)]
    sys.argv = ["componentize-py", "-d", wit, "-w", world, "componentize", RUNNER_MODULE, *search, "-o", out]
    return script() or 0


def compile_component(source: str, out: str) -> int:
    try:
        compiled = component.Component(make_engine(), Path(source).read_bytes()).serialize()
    except wasmtime.WasmtimeError as error:
        print(error)
        return BAD_INPUT
    Path(out).write_bytes(compiled)
    return 0


def main(task: str, *arguments: str) -> int:
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    return build(*arguments) if task == "build" else compile_component(*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
