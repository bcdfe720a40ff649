"""What host and driver process say to each other: msgpack arrays, columns as raw buffers, never pickle."""

from array import array
from dataclasses import dataclass, fields

import msgspec

from pie.core.driver import DriverSpec
from pie.core.passes import Pass, PassResult
from pie.inference.settings import InferenceSettings

COLUMNS = tuple(field.name for field in fields(Pass) if field.name != "number")


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
    """Everything a driver process is told at birth. `executor`: "module:function" that makes its heart."""

    line: int
    """Descriptor of its end of the line to the host."""
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
    top_tokens: bytes
    top_probs: bytes
    top_starts: bytes
    chosen_logprobs: bytes
    entropies: bytes
    error: str


class Work(msgspec.Struct, array_like=True):
    number: int
    columns: list[bytes]


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
        columns = [getattr(work, name).tobytes() for name in COLUMNS]
        return self._encoder.encode(Work(work.number, columns))

    def decode_pass(self, data: bytes) -> Pass:
        """Raises `msgspec.MsgspecError` or `ValueError`."""
        work = self._work.decode(data)
        columns = zip(COLUMNS, work.columns, strict=True)
        return Pass(work.number, **{name: array("i", column) for name, column in columns})


def done(result: PassResult) -> Done:
    return Done(
        result.number,
        result.seconds,
        result.top_tokens.tobytes(),
        result.top_probs.tobytes(),
        result.top_starts.tobytes(),
        result.chosen_logprobs.tobytes(),
        result.entropies.tobytes(),
        result.error,
    )


def pass_result(message: Done) -> PassResult:
    """Raises `ValueError` for buffers that are not whole numbers of items."""
    return PassResult(
        message.number,
        message.seconds,
        array("i", message.top_tokens),
        array("f", message.top_probs),
        array("i", message.top_starts),
        array("f", message.chosen_logprobs),
        array("f", message.entropies),
        message.error,
    )
