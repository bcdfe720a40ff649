"""Whatever goes wrong, told in one line that says what to do. `PIE_DEBUG=1` shows the traceback."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pie.core.errors import InvalidArgument, PieError

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class Interrupted(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt, which typer turns into another exit code."""


@contextmanager
def one_line_failures() -> Iterator[None]:
    """Ends the process with the right exit code. Lets SystemExit through: usage errors of typer are such."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        leave(INTERRUPTED, "")
    except BrokenPipeError:
        leave_without_reader()
    except PieError as error:
        leave(USAGE if isinstance(error, InvalidArgument) else FAILED, str(error))
    except OSError as error:
        leave(FAILED, explain(error))
    except Exception as error:
        what = f"{type(error).__name__}: {first_line(str(error))}"
        leave(FAILED, f"a bug in Pie, please report it ({what}); PIE_DEBUG=1 shows where")


def leave(code: int, message: str) -> NoReturn:
    if os.environ.get("PIE_DEBUG"):
        traceback.print_exc()
    if message:
        print(f"pie: {message}", file=sys.stderr)
    sys.exit(code)


def leave_without_reader() -> NoReturn:
    """Whoever read our output has had enough, as `head` does. Python must not flush into the closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(FAILED)


def explain(error: OSError) -> str:
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{place}: make room, or set PIE_HOME to a folder on another disk"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no right to write{place}: set PIE_HOME to a folder of yours"
    return f"{error.strerror or error}{place}"


def first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
