"""What `workshop.py` runs in processes of their own.

`python -m pie.application.worker build WIT WORLD OUT PATH...` makes the runner component,
`... compile IN OUT` turns a component into machine code.
"""

import importlib
import os
import resource
import sys
from pathlib import Path

import wasmtime
from wasmtime import component

from pie.application.engine import make_engine
from pie.application.workshop import BAD_INPUT

MOST_BYTES = 12 << 30
"""Address space of a worker."""
RUNNER_MODULE = "runner"


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
