"""Component values to Python: a `Lift` for each type, made once when a component is linked.

Numbers, bools, strings and enums become themselves, `list<u8>` bytes, other lists lists or tuples, records
named tuples, options None or the value, results `(is_ok, value)`, variants `(case, value)`, flags a
tuple of names, resources their number.
"""

import ctypes
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from struct import Struct
from typing import Any

import numpy as np

from pie.application import abi
from pie.application.abi import memory
from pie.application.stage import Stage
from pie.application.types import (
    EnumOf,
    FlagsOf,
    Handle,
    ListOf,
    OptionOf,
    RecordOf,
    ResultOf,
    Scalar,
    TupleOf,
    Type,
    UnknownType,
    VariantOf,
)
from pie.core.errors import LimitExceeded

MOST_ITEMS = 1 << 20
MOST_TEXT_BYTES = 64 << 20
SHORT_LIST = 128
"""Up to this length one `struct` call beats numpy."""


@dataclass(frozen=True, slots=True)
class Lift:
    """`layout` unpacks the 32 bytes of a value into `width` numbers; `convert` makes one object of them."""

    layout: str
    width: int = 1
    convert: Callable[..., Any] | None = None

    def reader(self) -> Callable[[int], Any]:
        """Reads the value at an address."""
        unpack = Struct("<" + self.layout).unpack_from
        convert = self.convert or _first
        return lambda address: convert(*unpack(memory, address))


def _first(value: Any) -> Any:
    return value


SCALAR_LAYOUTS = {
    "bool": "8x?23x",
    "s8": "8xb23x",
    "u8": "8xB23x",
    "s16": "8xh22x",
    "u16": "8xH22x",
    "s32": "8xi20x",
    "u32": "8xI20x",
    "s64": "8xq16x",
    "u64": "8xQ16x",
    "f32": "8xf20x",
    "f64": "8xd16x",
}
NUMPY_FORMATS = {
    "s8": "i1",
    "u8": "u1",
    "s16": "<i2",
    "u16": "<u2",
    "s32": "<i4",
    "u32": "<u4",
    "s64": "<i8",
    "u64": "<u8",
    "f32": "<f4",
    "f64": "<f8",
}
_NAME = Struct("<QQ").unpack_from
VECTOR = "8xQQ8x"
"""Size and data of a string, list, record, tuple or enum."""
POINTER = "8xQ16x"
RESULT = "8x?7xQ8x"
VARIANT = "8xQQQ"


def lift(type: Type, stage: Stage) -> Lift:
    """How to read values of a type."""
    match type:
        case Scalar("string"):
            return Lift(VECTOR, 2, _text)
        case Scalar("char"):
            return Lift(SCALAR_LAYOUTS["u32"], 1, chr)
        case Scalar(name):
            return Lift(SCALAR_LAYOUTS[name])
        case EnumOf():
            return Lift(VECTOR, 2, _text)
        case ListOf(Scalar("u8")):
            return Lift(VECTOR, 2, _bytes)
        case ListOf(Scalar(name)) if name in NUMPY_FORMATS:
            return Lift(VECTOR, 2, _numbers(name))
        case Handle():
            return Lift(POINTER, 1, _handle(stage))
    return _compound(type, stage)


def _compound(type: Type, stage: Stage) -> Lift:
    match type:
        case ListOf(item):
            return Lift(VECTOR, 2, _list(lift(item, stage)))
        case TupleOf(items):
            return Lift(VECTOR, 2, _fields([lift(item, stage) for item in items], 0, tuple))
        case RecordOf(fields):
            return Lift(VECTOR, 2, _record(fields, stage))
        case OptionOf(item):
            return Lift(POINTER, 1, _optional(item, stage))
        case ResultOf(ok, err):
            return Lift(RESULT, 2, _result(_optional(ok, stage), _optional(err, stage)))
        case VariantOf(cases):
            return Lift(VARIANT, 3, _variant({name: _optional(item, stage) for name, item in cases}))
        case FlagsOf():
            return Lift(VECTOR, 2, _flags)
    raise UnknownType(str(type))


def _text(size: int, data: int) -> str:
    if size > MOST_TEXT_BYTES:
        raise LimitExceeded(f"a text of {size} bytes is longer than a call may carry ({MOST_TEXT_BYTES})")
    return str(memory[data : data + size], "utf-8")


def _check_items(size: int) -> None:
    if size > MOST_ITEMS:
        raise LimitExceeded(f"a list of {size} items is longer than a call may carry ({MOST_ITEMS})")


def _column(size: int, data: int, kind: np.dtype[Any]) -> "np.ndarray[Any, np.dtype[Any]]":
    """A strided view on the payloads of a list; valid during the call."""
    raw = memory[data : data + size * abi.VAL_SIZE]
    column: np.ndarray[Any, np.dtype[Any]] = np.frombuffer(raw, dtype=kind)["value"]
    return column


def column_dtype(name: str) -> np.dtype[Any]:
    """The layout of a list's items: their tag and payload."""
    formats = ["u1", NUMPY_FORMATS[name]]
    return np.dtype(
        {"names": ["tag", "value"], "formats": formats, "offsets": [0, abi.PAYLOAD], "itemsize": abi.VAL_SIZE}
    )


def _bytes(size: int, data: int) -> bytes:
    if size > MOST_TEXT_BYTES:
        raise LimitExceeded(f"{size} bytes are more than a call may carry ({MOST_TEXT_BYTES})")
    return _column(size, data, _BYTE_COLUMN).tobytes() if size else b""


_BYTE_COLUMN = column_dtype("u8")


def _short_list(layout: str, size: int) -> Callable[[memoryview, int], tuple[Any, ...]]:
    return Struct("<" + layout * size).unpack_from


@cache
def _numbers(name: str) -> Callable[[int, int], Sequence[Any]]:
    layout, kind = SCALAR_LAYOUTS[name], column_dtype(name)
    short = [_short_list(layout, size) for size in range(SHORT_LIST)]

    def convert(size: int, data: int) -> Sequence[Any]:
        if size < SHORT_LIST:
            return short[size](memory, data) if size else ()
        _check_items(size)
        return _column(size, data, kind).tolist()  # type: ignore[no-any-return]

    return convert


def _list(item: Lift) -> Callable[[int, int], list[Any]]:
    iterate = Struct("<" + item.layout).iter_unpack
    make = item.convert or _first

    def convert(size: int, data: int) -> list[Any]:
        _check_items(size)
        if not size:
            return []
        return [make(*values) for values in iterate(memory[data : data + size * abi.VAL_SIZE])]

    return convert


def _fields(items: Sequence[Lift], name_size: int, make: Callable[[Any], Any]) -> Callable[[int, int], Any]:
    """Values of different types in one array, each after `name_size` bytes of name."""
    unpack = Struct("<" + "".join(f"{name_size}x{item.layout}" for item in items)).unpack_from
    ends = [sum(item.width for item in items[: i + 1]) for i in range(len(items))]
    parts = [(item.convert or _first, end - item.width, end) for item, end in zip(items, ends, strict=True)]

    def convert(size: int, data: int) -> Any:
        del size
        values = unpack(memory, data)
        return make([part(*values[start:end]) for part, start, end in parts])

    return convert


def _record(fields: tuple[tuple[str, Type], ...], stage: Stage) -> Callable[[int, int], Any]:
    names = [name.replace("-", "_") for name, _ in fields]
    make = namedtuple("Record", names, rename=True)  # type: ignore[misc]
    items = [lift(type, stage) for _, type in fields]
    return _fields(items, abi.RECORD_ENTRY_VALUE, make._make)


def _optional(type: Type | None, stage: Stage) -> Callable[[int], Any]:
    if type is None:
        return _nothing
    read = lift(type, stage).reader()
    return lambda address: read(address) if address else None


def _nothing(address: int) -> None:
    del address


def _result(ok: Callable[[int], Any], err: Callable[[int], Any]) -> Callable[[bool, int], tuple[bool, Any]]:
    return lambda is_ok, address: (is_ok, (ok if is_ok else err)(address))


def _variant(cases: dict[str, Callable[[int], Any]]) -> Callable[[int, int, int], tuple[str, Any]]:
    def convert(size: int, data: int, address: int) -> tuple[str, Any]:
        name = str(memory[data : data + size], "utf-8")
        return name, cases[name](address)

    return convert


def _flags(size: int, data: int) -> tuple[str, ...]:
    names = [_NAME(memory, data + i * abi.NAME_SIZE) for i in range(size)]
    return tuple(_text(*name) for name in names)


def _handle(stage: Stage) -> Callable[[int], int]:
    def convert(resource: int) -> int:
        out = ctypes.c_void_p()
        error = abi.resource_from_any(stage.context, resource, ctypes.addressof(out))
        if error:
            raise LimitExceeded(abi.take_error(error))
        number: int = abi.resource_number(out.value)
        abi.resource_delete(out.value)
        return number

    return convert
