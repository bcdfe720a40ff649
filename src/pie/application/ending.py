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
    ("forcing trap when growing memory", "limit", "the program needs more than its {memory} of memory"),
    ("wasm `unreachable`", "error", "the program aborted (out of memory, if its limit of {memory} is near)"),
)


def of_error(error: PieError) -> Failed:
    """An end that the server decided."""
    reason = next((reason for kind, reason in REASONS if isinstance(error, kind)), "error")
    return Failed(reason, str(error))


def of_outcome(outcome: Returned | Trapped, limits: Limits) -> Finished | Failed:
    """An end that the program came to by itself."""
    if isinstance(outcome, Trapped):
        return _of_trap(outcome.message, limits)
    size = len(outcome.text)
    if size > limits.message_bytes:
        allowed = limits.message_bytes
        return Failed("limit", f"the result has {size} characters, more than {allowed}: send it in pieces")
    return Finished(outcome.text) if outcome.ok else _of_text(outcome.text)


def _of_text(text: str) -> Failed:
    """The runner's errors are a message, an empty line and a traceback; other components' just a message."""
    message, marker, frames = text.partition(TRACEBACK)
    return Failed(_reason(message), message, (marker + frames).lstrip("\n"))


def _reason(message: str) -> str:
    found = re.search(r"(?:^|: )(\w+)(?::|$)", message)
    name = found[1] if found else ""
    if name in LIMIT_ERRORS:
        return "limit"
    return "driver" if name == "Unavailable" else "error"


def _of_trap(message: str, limits: Limits) -> Failed:
    memory = f"{limits.memory_bytes >> 20} MiB"
    for sign, reason, words in TRAPS:
        if sign in message:
            return Failed(reason, words.format(memory=memory), message)
    cause = message.rpartition("Caused by:")[2].strip()
    return Failed("error", f"the sandbox stopped the program: {cause or message}", message)
