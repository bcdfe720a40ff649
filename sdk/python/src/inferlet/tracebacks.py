"""What a user sees of an exception: the frames of the own program, with their source lines."""

import linecache
import traceback
from collections.abc import Iterator

from inferlet.loop import Deadlock

IMPORT_HELP = (
    "; an inferlet has the package `inferlet` and the parts of Python's standard library that need no files, "
    "network, processes or threads"
)


def show_source(filename: str, padded: str) -> None:
    """Lets tracebacks quote a program that is in no file. Line 1 of `padded` is line 1 of the user's file."""
    linecache.cache[filename] = (len(padded), None, padded.splitlines(keepends=True), filename)


def format_error(error: BaseException, filename: str) -> str:
    """The traceback as Python prints it, without the frames of libraries; the last line is the message."""
    if isinstance(error, ModuleNotFoundError):
        error.msg = f"{error.msg}{IMPORT_HELP}"
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)  # their locals hold the memory that is missing now
    shown = traceback.TracebackException.from_exception(error)
    if isinstance(error, SyntaxError | Deadlock) and not _own(shown, filename):
        return "".join(shown.format_exception_only())
    for part in _chain(shown):
        part.stack[:] = _own(part, filename) or part.stack
    return "".join(shown.format())


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
