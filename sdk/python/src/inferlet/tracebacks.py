"""What a user sees of an exception: one line that says it, then the frames of the own program."""

import linecache
import sys
import traceback
from collections.abc import Iterator

from inferlet.loop import Deadlock

HEADER = "Traceback (most recent call last):\n"
OFFERED = (
    "a sandbox has no files and no packages to install; a program can import the standard library (but "
    "processes, sockets and screens) and `inferlet`"
)
BESIDE = "`pie build --with PACKAGE` brings pure Python along, and data comes as arguments or messages"


def show_source(filename: str, padded: str) -> None:
    """Lets tracebacks quote a program that is in no file. Line 1 of `padded` is line 1 of the user's file."""
    linecache.cache[filename] = (lambda: padded,)  # cut into lines when somebody asks


def format_error(error: BaseException, filename: str) -> str:
    """A message with the user's line, an empty line, and the traceback without the frames of libraries."""
    if isinstance(error, ModuleNotFoundError):
        error.msg = f"{error.msg}: {_about_import(error.name or '')}"
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)  # their locals hold the memory that is missing now
    shown = traceback.TracebackException.from_exception(error)
    message = _message(error, shown, filename)
    for part in _chain(shown):
        part.stack[:] = _own(part, filename) or part.stack
    if isinstance(error, SyntaxError | Deadlock) and shown.stack != _own(shown, filename):
        return f"{message}\n\n{HEADER}{''.join(shown.format_exception_only())}"
    return f"{message}\n\n{''.join(shown.format())}"


def _about_import(name: str) -> str:
    root = name.partition(".")[0]
    lacking = f"the sandbox does not have it: {OFFERED}"
    return lacking if root in sys.stdlib_module_names else f"{OFFERED}; {BESIDE}"


def _message(error: BaseException, shown: traceback.TracebackException, filename: str) -> str:
    """`my.py, line 3: ValueError: too small`."""
    own = _own(shown, filename)
    line = own[-1].lineno if own else None
    text = str(error)
    if isinstance(error, SyntaxError) and error.filename == filename:
        line, text = error.lineno, error.msg
    name = type(error).__name__
    said = f"{name}: {text}" if text else name
    return said if line is None else f"{filename}, line {line}: {said}"


def _own(shown: traceback.TracebackException, filename: str) -> list[traceback.FrameSummary]:
    return [frame for frame in shown.stack if frame.filename == filename]


def _chain(shown: traceback.TracebackException | None) -> Iterator[traceback.TracebackException]:
    """An exception, its causes and contexts, and those in its group."""
    if shown is not None:
        yield shown
        yield from _chain(shown.__cause__)
        yield from _chain(shown.__context__)
        for inner in shown.exceptions or ():
            yield from _chain(inner)
