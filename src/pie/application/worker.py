"""What `workshop.py` runs in processes of their own.

`python -m pie.application.worker build WIT WORLD OUT PATH...` makes the runner component, `... bundle ...`
one with a program inside, `... compile IN OUT` turns a component into machine code.
"""

import importlib
import os
import resource
import sys
from pathlib import Path

import wasmtime
from wasmtime import component

from pie.application.engine import make_engine
from pie.application.immortals import make_immortal
from pie.application.workshop import BAD_INPUT

MOST_BYTES = 12 << 30
"""Address space of a worker."""
GUESTS = {"build": "runner", "bundle": "built"}
"""Modules in `sdk/runner` that are made into components."""


def build(guest: str, wit: str, world: str, out: str, *paths: str) -> int:
    """A component from the source of a guest, the SDK's, and what else is in `paths`."""
    script = importlib.import_module("componentize_py").script  # big and native: only this process needs it

    search = [word for path in paths for word in ("-p", path)]
    sys.argv = ["componentize-py", "-d", wit, "-w", world, "componentize", guest, *search, "-o", out]
    try:
        return script() or finish(Path(out))
    except AssertionError as failure:  # how it tells of an exception in the guest
        said = str(failure).partition("\n\nCaused by:")[0]
        print(said)
        return BAD_INPUT if "Traceback (most recent call last)" in said else 1


def finish(made: Path) -> int:
    wasm = bytearray(made.read_bytes())
    make_immortal(wasm)
    made.write_bytes(wasm)
    return 0


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
    return build(GUESTS[task], *arguments) if task in GUESTS else compile_component(*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
