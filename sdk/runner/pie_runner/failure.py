"""What a program's author reads when it fails: the line and the error, and a traceback of their own code."""

import linecache
import sys
import traceback
from collections.abc import Iterator
from types import FrameType, TracebackType

OWN = ("asyncio", "componentize_py", "inferlet", "pie_runner", "runner", "wit_world")
"""Packages whose frames say nothing to a program's author."""
HEADER = "Traceback (most recent call last):\n"
NO_FILES = "a sandbox has no packages to install and no files: what a program can import is the standard " \
    "library (but processes and screens) and `inferlet`"


def register(filename: str, text: str, first_line: int) -> str:
    """Lets tracebacks show the program's lines; returns the text with its first line in the right place."""
    placed = "\n" * (first_line - 1) + text
    linecache.cache[filename] = (len(placed), None, placed.splitlines(keepends=True), filename)
    return placed


def describe(error: BaseException, filename: str) -> str:
    """A message, an empty line and the traceback."""
    if isinstance(error, ModuleNotFoundError):
        error.add_note(_about_module(error.name or ""))
    error.__traceback__ = _without_own(error.__traceback__)
    return f"{_message(error, filename)}\n\n{_formatted(error)}"


def _formatted(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))
    return text if text.startswith(HEADER) else HEADER + text


def _message(error: BaseException, filename: str) -> str:
    name, text = type(error).__name__, str(error)
    notes = getattr(error, "__notes__", [])
    said = f"{name}: {text}" if text else name
    line = _line(error, filename)
    return "; ".join([f"{filename}, line {line}: {said}" if line else said, *notes])


def _line(error: BaseException, filename: str) -> int | None:
    """Line of the program on which the error came up."""
    if isinstance(error, SyntaxError) and error.filename == filename:
        return error.lineno
    lines = [line for frame, line in _walk(error.__traceback__) if frame.f_code.co_filename == filename]
    return lines[-1] if lines else None


def _walk(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _without_own(trace: TracebackType | None) -> TracebackType | None:
    """The same traceback without frames of the library and the runner."""
    if trace is None:
        return None
    trace.tb_next = _without_own(trace.tb_next)
    package = trace.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    return trace.tb_next if package in OWN else trace


def _about_module(name: str) -> str:
    root = name.partition(".")[0]
    if root in sys.stdlib_module_names:
        return f"the sandbox does not have {name}: {NO_FILES}"
    return f"the sandbox has no module {name}: {NO_FILES}; send data as arguments or messages instead"
