"""Executing a program: from its text to its result."""

import ast
import asyncio
import inspect
import json
import random
import sys
from collections.abc import Coroutine
from types import CodeType, ModuleType
from typing import Any

from inferlet.loop import EventLoop
from pie_runner import failure, loops
from pie_runner.options import BadOptions, Help, parse
from pie_runner.output import LogStream

MODULE = "program"
"""The program's `__name__`; not `__main__`, so that a guard at its end does not run it a second time."""
RESERVE_BYTES = 1 << 18


def run(runtime: Any, source: Any) -> tuple[bool, str]:
    """Whether the program came to its end, and its result or its error."""
    program = source.get_program()
    reserve: list[bytearray] = [bytearray(RESERVE_BYTES)]
    _connect(runtime)
    try:
        return True, _execute(program, runtime, source)
    except Help as shown:
        return True, str(shown)
    except BadOptions as wrong:
        return False, str(wrong)
    except SystemExit as exit:
        fine = exit.code in (None, 0)
        return fine, "" if fine else f"the program called exit({exit.code!r})"
    except BaseException as error:
        reserve.clear()  # room to describe a MemoryError
        return False, failure.describe(error, program.filename)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _connect(runtime: Any) -> None:
    """Everything in the snapshot that must differ from program to program."""
    random.seed()
    sys.stdout = LogStream(lambda text: runtime.log(runtime.Stream.STDOUT, text))
    sys.stderr = LogStream(lambda text: runtime.log(runtime.Stream.STDERR, text))


def _execute(program: Any, runtime: Any, source: Any) -> str:
    code = _compile(program)
    loops.watch(code, source.note_loop)
    module = ModuleType(MODULE)
    module.__file__ = program.filename
    sys.modules[MODULE] = module
    scripted = eval(code, module.__dict__)
    if inspect.iscoroutine(scripted):
        _finish(scripted)
    arguments = runtime.get_arg()
    if program.entry is not None:
        return _call_entry(module, program.entry, arguments)
    main = getattr(module, "main", None)
    return "" if main is None else _text(_finish(main(**parse(main, arguments))))


def _compile(program: Any) -> CodeType:
    placed = failure.register(program.filename, program.text, program.first_line)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: CodeType = compile(placed, program.filename, "exec", flags, dont_inherit=True)
    return code


def _call_entry(module: ModuleType, entry: str, arguments: list[str]) -> str:
    """A function called from afar: JSON arguments, JSON result."""
    given = json.loads(arguments[0]) if arguments else {}
    function = getattr(module, entry)
    return json.dumps(_finish(function(*given.get("args", ()), **given.get("kwargs", {}))))


def _finish(result: Any) -> Any:
    """The result itself, or that of a coroutine."""
    return _run_coroutine(result) if inspect.iscoroutine(result) else result


def _run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop = EventLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        _end_tasks(loop)
        loop.close()


def _end_tasks(loop: EventLoop) -> None:
    """Tasks that the program has left behind get to run their `finally` blocks."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())


def _text(result: Any) -> str:
    """A result for people: text as it is, nothing for None, else JSON where that is possible."""
    if result is None:
        return ""
    if isinstance(result, str):
        return result
    try:
        return json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(result)
