"""Every error that Pie raises on purpose.

PieError
├── GuestError            the program must change
│   ├── InvalidArgument     a value no call could accept
│   ├── UnknownId           never allocated, freed, or another inferlet's
│   ├── QueueFailed         an earlier command of the queue failed
│   └── LimitExceeded       memory, CPU, wall time, calls in flight, sizes
├── CallerError           the launch or request must change
│   ├── BadProgram          does not parse, does not validate, asks for what we do not offer
│   ├── NotFound            no such instance, program or model
│   └── WrongState          finished, already running, ...
├── OperatorError         the set-up must change
│   ├── OutOfResources      pages or embeddings are used up
│   │   └── Overloaded        no place for one more launch; `retry_after` says when to come back
│   ├── Unavailable         loading, draining, the driver died, no network
│   ├── NotPermitted        the settings or the launch do not allow it
│   └── BadModel            a model's files are damaged, or of a kind that is not supported
├── Unreachable           a server outside did not answer, or not as it should
├── ChildFailed           a program that this one spawned failed
├── Cancelled             somebody asked for it
├── Timeout               a deadline passed
└── InternalError         a bug of ours
"""


class PieError(Exception):
    """Base of all; `kind` is its name in the WIT contract and in HTTP answers."""

    kind = "internal"


class GuestError(PieError):
    kind = "invalid-argument"


class InvalidArgument(GuestError):
    kind = "invalid-argument"


class UnknownId(GuestError):
    kind = "unknown-id"


class QueueFailed(GuestError):
    kind = "queue-failed"


class LimitExceeded(GuestError):
    kind = "limit-exceeded"


class CallerError(PieError):
    kind = "invalid-argument"


class BadProgram(CallerError):
    pass


class NotFound(CallerError):
    kind = "unknown-id"


class WrongState(CallerError):
    pass


class OperatorError(PieError):
    kind = "unavailable"


class OutOfResources(OperatorError):
    kind = "out-of-resources"


class Overloaded(OutOfResources):
    """Passes by itself: worth another try after `retry_after` seconds."""

    retry_after: float = 1

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(OperatorError):
    kind = "unavailable"


class NotPermitted(OperatorError):
    kind = "not-permitted"


class BadModel(OperatorError):
    kind = "unavailable"


class Unreachable(PieError):
    kind = "unreachable"


class ChildFailed(PieError):
    kind = "child-failed"


class Cancelled(PieError):
    kind = "cancelled"


class Timeout(PieError):
    kind = "timeout"


class InternalError(PieError):
    kind = "internal"
