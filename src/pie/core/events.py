"""What an instance tells the client that launched it, in order. `Finished` or `Failed` is the last."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    instance: str


@dataclass(frozen=True, slots=True)
class Message:
    text: str


@dataclass(frozen=True, slots=True)
class Blob:
    data: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """A piece of the program's printed output; `stream` is "stdout" or "stderr"."""

    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    result: str


@dataclass(frozen=True, slots=True)
class Failed:
    """`reason`: "error" (the program raised), "limit", "cancelled", "deadline", "driver", "internal"."""

    reason: str
    message: str
    traceback: str = ""


Event = Started | Message | Blob | Log | Finished | Failed
