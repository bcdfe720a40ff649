"""Every error that a host call can raise in a program.

    InferletError
    ├── InvalidArgument     a value no call could accept
    ├── UnknownId           never allocated, freed, or another program's
    ├── OutOfResources      pages, embeddings or instances are used up
    ├── QueueFailed         an earlier command of the queue failed; `raw.reset_queue` clears it
    ├── LimitExceeded       memory, CPU, wall time, calls in flight, sizes
    │   └── ContextFull       more tokens than the model's context length
    ├── Unavailable         the model's driver died or is loading
    ├── NotPermitted        the server's settings or the launch do not allow it
    ├── Unreachable         a server outside did not answer, or not as it should
    ├── ChildFailed         a program that this one spawned failed; its own words are in the text
    ├── Timeout             the server's deadline for a wait passed
    ├── Cancelled           what was waited for has been cancelled
    └── Internal            a bug of the server

`kind` is the name in the WIT contract.
"""

from typing import Protocol


class InferletError(Exception):
    """Base of all; `kind` is the name in the WIT contract."""

    kind = "internal"


class InvalidArgument(InferletError):
    kind = "invalid-argument"


class UnknownId(InferletError):
    kind = "unknown-id"


class OutOfResources(InferletError):
    kind = "out-of-resources"


class QueueFailed(InferletError):
    kind = "queue-failed"


class LimitExceeded(InferletError):
    kind = "limit-exceeded"


class ContextFull(LimitExceeded):
    """The context has no room for the tokens: shorten the text or `trim` the context."""


class Unavailable(InferletError):
    kind = "unavailable"


class Timeout(InferletError):
    kind = "timeout"


class Cancelled(InferletError):
    kind = "cancelled"


class NotPermitted(InferletError):
    kind = "not-permitted"


class Unreachable(InferletError):
    kind = "unreachable"


class ChildFailed(InferletError):
    kind = "child-failed"


class Internal(InferletError):
    kind = "internal"


class ErrorKind(Protocol):
    """The WIT enum as the bindings show it: `INVALID_ARGUMENT`, ..."""

    @property
    def name(self) -> str: ...


class ErrorRecord(Protocol):
    """The WIT record `error` as the bindings show it."""

    @property
    def kind(self) -> ErrorKind: ...

    @property
    def message(self) -> str: ...


ERRORS: dict[str, type[InferletError]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "UNKNOWN_ID": UnknownId,
    "OUT_OF_RESOURCES": OutOfResources,
    "QUEUE_FAILED": QueueFailed,
    "LIMIT_EXCEEDED": LimitExceeded,
    "UNAVAILABLE": Unavailable,
    "TIMEOUT": Timeout,
    "CANCELLED": Cancelled,
    "INTERNAL": Internal,
    "NOT_PERMITTED": NotPermitted,
    "UNREACHABLE": Unreachable,
    "CHILD_FAILED": ChildFailed,
}


def from_wit(error: ErrorRecord) -> InferletError:
    """The exception for an error value of the contract."""
    return ERRORS.get(error.kind.name, Internal)(error.message)
