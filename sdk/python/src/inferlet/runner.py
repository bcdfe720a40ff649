"""Runs one program from its source text: what the runner guest does between its start and its result.

A program has a function `main`, ordinary or `async`, whose parameters are its command-line options; or it is
a script, in which `await` may stand at the top level; or the launcher names a function (`entry`) to be
called with JSON arguments.

A fresh sandbox pays about 5 µs for each page of memory that it touches first, so the ordinary way through
here uses few library functions.
"""

import ast
import asyncio
import gc
import json
import linecache
import random
import sys
import types
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from inferlet import raw
from inferlet.logs import LogStream
from inferlet.loop import Deadlock, EventLoop
from inferlet.loops import NoteLoop, watch_loops
from inferlet.options import HelpWanted, UsageError, read_options
from inferlet.sampling import random_seed
from inferlet.tracebacks import format_error, show_source

T = TypeVar("T")

MODULE_NAME = "inferlet_program"
"""`__name__` of a program: not "__main__", for its `main` is called anyway."""

RESERVE = bytearray(1 << 16)
"""Given back when a program fails, so that there is room to describe a MemoryError. Part of the snapshot, so
that a program that does not fail never touches it."""

ready_loops: list[EventLoop] = []
"""Made before the snapshot is taken, for the first coroutine that runs."""


class Program(Protocol):
    """The WIT record `program`."""

    @property
    def filename(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def first_line(self) -> int: ...
    @property
    def entry(self) -> str | None: ...


class ProgramFailed(Exception):
    """The program raised, does not parse, or was started wrongly. The text is for the launcher: a message,
    then, where the program's own lines were at fault, an empty line and a traceback."""


def run_program(program: Program, args: Sequence[str], note_loop: NoteLoop | None = None) -> str:
    """Executes a program and returns its result as text; raises `ProgramFailed`.

    `note_loop` is told the lines of loops that the program enters.
    """
    random.seed(random_seed())  # the interpreter's snapshot would give every program the same numbers
    output, errors = LogStream(raw.log), LogStream(raw.log_error)
    before = sys.stdout, sys.stderr, asyncio.events.new_event_loop
    sys.stdout, sys.stderr = output, errors
    asyncio.events.new_event_loop = EventLoop  # so that `asyncio.run` works in a `main` that is not `async`
    try:
        return _execute(program, args, note_loop)
    except HelpWanted as wanted:
        return str(wanted)
    except UsageError as wrong:
        raise ProgramFailed(str(wrong)) from None
    except SystemExit as stop:
        return _exit_text(stop)
    except BaseException as error:
        RESERVE.clear()
        raise ProgramFailed(format_error(error, program.filename)) from None
    finally:
        sys.stdout, sys.stderr, asyncio.events.new_event_loop = before
        output.flush()
        errors.flush()


def rehearse(program: Program, args: Sequence[str]) -> None:
    """Runs a program of the server's for the pages of memory that it touches, and forgets it."""
    run_program(program, args, _note_nothing)
    sys.modules.pop(MODULE_NAME, None)
    linecache.cache.pop(program.filename, None)  # its source, for tracebacks


def _note_nothing(line: int) -> None:
    pass


def _execute(program: Program, args: Sequence[str], note_loop: NoteLoop | None) -> str:
    text = "\n" * (program.first_line - 1) + program.text
    show_source(program.filename, text)
    code: types.CodeType = compile(
        text, program.filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    if note_loop is not None and ("for" in text or "while" in text):
        watch_loops(code, note_loop)
    module = sys.modules[MODULE_NAME] = types.ModuleType(MODULE_NAME)
    names = module.__dict__
    names["__file__"] = program.filename
    _finish(eval(code, names))
    if program.entry is not None:
        return _call_entry(names.get(program.entry), program.entry, args)
    main = names.get("main")
    if main is None:
        return ""
    options = read_options(main, args, program.filename.rpartition("/")[2])
    return _result_text(_finish(main(**options)))


def _finish(value: Any) -> Any:
    """The value itself, or what the coroutine gives that it is."""
    return run_in_loop(value) if type(value) is types.CoroutineType else value


def _call_entry(function: Any, name: str, args: Sequence[str]) -> str:
    """Calls a function with `{"args": [...], "kwargs": {...}}` and gives its result as JSON."""
    if not callable(function):
        raise UsageError(f"the program has no function {name!r}")
    arguments = json.loads(args[0]) if args else {}
    value = _finish(function(*arguments.get("args", ()), **arguments.get("kwargs", {})))
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as failure:
        raise UsageError(
            f"{name} returned {value!r}, which JSON cannot carry ({failure}); return text, numbers, lists or "
            "dictionaries"
        ) from None


def _result_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)


def _exit_text(stop: SystemExit) -> str:
    """`sys.exit()` and `sys.exit(0)` end well, another code or a text is a failure."""
    if stop.code in (None, 0):
        return ""
    text = stop.code if isinstance(stop.code, str) else f"the program ended with exit code {stop.code}"
    raise ProgramFailed(text) from None


def run_in_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end, then whatever it left behind: tasks are cancelled, generators closed."""
    loop = ready_loops.pop() if ready_loops else EventLoop()
    task = loop.create_task(main, name="main")
    try:
        return loop.run_until_complete(task)
    except Deadlock:
        loop.set_exception_handler(_ignore)  # the tasks named in it need no warning
        raise
    finally:
        try:
            _end_others(loop, task)
        finally:
            loop.close()


def _end_others(loop: EventLoop, main: "asyncio.Task[Any]") -> None:
    """Looks for nothing where there can be nothing."""
    if loop.tasks_made > 1 or not main.done():
        _cancel_tasks(loop)
        gc.collect()  # a failed task that nobody awaited speaks up when it is collected
    if loop.has_generators:
        loop.run_until_complete(loop.shutdown_asyncgens())


def _ignore(loop: asyncio.AbstractEventLoop, report: dict[str, Any]) -> None:
    pass


def _cancel_tasks(loop: EventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    if not tasks:
        return
    left = ", ".join(sorted(task.get_name() for task in tasks))
    loop.call_exception_handler({"message": f"cancelled at the end, because nobody awaited them: {left}"})
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler({"message": f"{task.get_name()} failed", "exception": error})
