"""How an instance ended, in words for whoever launched it."""

import re

from pie.application.fiber import Returned, Trapped
from pie.core.errors import (
    Cancelled,
    InternalError,
    LimitExceeded,
    OutOfResources,
    PieError,
    Timeout,
    Unavailable,
)
from pie.core.events import Failed, Finished
from pie.core.programs import Limits

TRACEBACK = "\n\nTraceback (most recent call last):\n"
LIMIT_ERRORS = ("MemoryError", "RecursionError", "LimitExceeded", "ContextFull")
REASONS: tuple[tuple[type[PieError], str], ...] = (
    (LimitExceeded, "limit"),
    (OutOfResources, "limit"),
    (Cancelled, "cancelled"),
    (Timeout, "deadline"),
    (Unavailable, "driver"),
    (InternalError, "internal"),
)
TRAPS = (
    ("call stack exhausted", "limit", "the program's recursion is too deep for the sandbox's stack"),
    ("memory minimum size", "limit", "the program does not fit into its memory limit of {memory}"),
    ("too much data is being copied", "limit", "a list or text in one call was too long (128 MiB as values)"),
    (
        "wasm `unreachable`",
        "error",
        "the program aborted; its log may say why, or it ran out of memory (its limit is {memory})",
    ),
)


def of_error(error: PieError) -> Failed:
    """An end that the server decided."""
    reason = next((reason for kind, reason in REASONS if isinstance(error, kind)), "error")
    return Failed(reason, str(error))


def of_outcome(outcome: Returned | Trapped, limits: Limits, last_loop: str) -> Finished | Failed:
    """An end that the program came to by itself. `last_loop` is a hint to where it was stopped."""
    if isinstance(outcome, Trapped):
        return _of_trap(outcome.message, limits, last_loop)
    size = len(outcome.text)
    if size > limits.message_bytes:
        allowed = limits.message_bytes
        return Failed("limit", f"the result has {size} characters, more than {allowed}: send it in pieces")
    return Finished(outcome.text) if outcome.ok else _of_text(outcome.text, limits)


def _of_text(text: str, limits: Limits) -> Failed:
    """The runner's errors are a message, an empty line and a traceback; other components' just a message."""
    message, marker, frames = text.partition(TRACEBACK)
    name = _error_name(message)
    if name == "MemoryError":
        message += f" (the program may use {_memory(limits)})"
    return Failed(_reason(name, message), message, (marker + frames).lstrip("\n"))


def _error_name(message: str) -> str:
    """The exception's name in `my.py, line 3: ValueError: too small`."""
    found = re.search(r"(?:^|: )(\w+)(?::|$)", message)
    return found[1] if found else ""


def _reason(name: str, message: str) -> str:
    if name in LIMIT_ERRORS:
        return "limit"
    return "driver" if name == "Unavailable" and "the driver of" in message else "error"


def _of_trap(message: str, limits: Limits, last_loop: str) -> Failed:
    for sign, reason, words in TRAPS:
        if sign in message:
            return Failed(reason, words.format(memory=_memory(limits)) + last_loop)
    cause = message.rpartition("Caused by:")[2].strip() or message
    return Failed("error", f"the sandbox stopped the program: {cause}{last_loop}")


def _memory(limits: Limits) -> str:
    return f"{limits.memory_bytes >> 20} MiB"
