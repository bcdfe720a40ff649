"""The guest of `pie build`: the runner with one program inside, and what that program imports.

`bundle` is written for each program: its text, the modules that come with it, and those that it names itself.
They are imported before the runner, whose last act is to prepare the heap for the snapshot.
"""

import contextlib
import importlib
from types import SimpleNamespace

import bundle
from componentize_py_types import Err

for name in bundle.REQUIRED:
    importlib.import_module(name)
for name in bundle.MODULES:
    with contextlib.suppress(Exception, SystemExit):
        importlib.import_module(name)

import runner  # noqa: E402
from wit_world.imports import runtime, source  # noqa: E402

from inferlet.runner import ProgramFailed, run_program  # noqa: E402

program = SimpleNamespace(filename=bundle.FILENAME, text=bundle.TEXT, first_line=1, entry=None)


class WitWorld(runner.WitWorld):
    """The export `run`, of the program inside."""

    def run(self) -> str:
        try:
            return run_program(program, runtime.get_arg(), source.note_loop)
        except ProgramFailed as failure:
            raise Err(str(failure)) from None
