"""What host and driver process say to each other: msgpack arrays, columns as raw buffers, never pickle."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pie.core.driver import DriverSpec
from pie.core.passes import Pass, PassResult, column_types
from pie.inference.settings import InferenceSettings

PASS_COLUMNS = column_types(Pass)
RESULT_COLUMNS = column_types(PassResult)
Column = bytes | list[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong on purpose, in tests, at the `at`-th pass of a driver's life (from 1; start: 0).

    In the executor: "raise", "nan", "hang", "kill" (also at start: "raise", "hang", "kill"). On the wire:
    "lose", "twice", "truncate" the answer. `every_life`: not only before the first restart.
    """

    kind: str
    at: int
    every_life: bool = False


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Everything a driver process is told first. `executor`: "module:function" that makes its heart."""

    model_folder: str
    home: str
    settings: InferenceSettings
    executor: str
    faults: tuple[Fault, ...] = ()


class Ready(msgspec.Struct, array_like=True, tag="ready"):
    spec: DriverSpec


class Refused(msgspec.Struct, array_like=True, tag="refused"):
    """The driver cannot start. `error` is the name of a `PieError`."""

    error: str
    message: str


class Began(msgspec.Struct, array_like=True, tag="began"):
    """A step of long work, as in `Progress`."""

    step: int
    label: str
    total: int | None


class Advanced(msgspec.Struct, array_like=True, tag="advanced"):
    step: int
    amount: int


class Ended(msgspec.Struct, array_like=True, tag="ended"):
    step: int


class Done(msgspec.Struct, array_like=True, tag="done"):
    number: int
    seconds: float
    error: str
    columns: list[Column]


class Work(msgspec.Struct, array_like=True):
    number: int
    columns: list[Column]


FromDriver = Ready | Refused | Began | Advanced | Ended | Done


class Wire:
    """Encoder and decoders of one side."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._from_driver = msgspec.msgpack.Decoder(FromDriver)
        self._work = msgspec.msgpack.Decoder(Work)

    def encode(self, message: FromDriver) -> bytes:
        return self._encoder.encode(message)

    def decode(self, data: bytes) -> FromDriver:
        """Raises `msgspec.MsgspecError` for anything that is not a message."""
        message: FromDriver = self._from_driver.decode(data)
        return message

    def encode_pass(self, work: Pass) -> bytes:
        return self._encoder.encode(Work(work.number, pack(work, PASS_COLUMNS)))

    def decode_pass(self, data: bytes) -> Pass:
        """Raises `msgspec.MsgspecError` or `ValueError`."""
        work = self._work.decode(data)
        return Pass(work.number, **unpack(work.columns, PASS_COLUMNS))


def done(result: PassResult) -> Done:
    return Done(result.number, result.seconds, result.error, pack(result, RESULT_COLUMNS))


def pass_result(message: Done) -> PassResult:
    """Raises `ValueError` for buffers that are not whole numbers of items."""
    columns = unpack(message.columns, RESULT_COLUMNS)
    return PassResult(message.number, message.seconds, error=message.error, **columns)


def pack(value: Pass | PassResult, types: Mapping[str, str]) -> list[Column]:
    return [getattr(value, name).tobytes() if code else getattr(value, name) for name, code in types.items()]


def unpack(columns: list[Column], types: Mapping[str, str]) -> dict[str, Any]:
    """Raises `ValueError` where one does not fit its type."""
    found: dict[str, Any] = {}
    for (name, code), column in zip(types.items(), columns, strict=True):
        if isinstance(column, bytes) != bool(code):
            raise ValueError(f"{name} is of the wrong kind")
        found[name] = array(code, column) if code else column
    return found
