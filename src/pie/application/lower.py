"""Python to component values: a `Lower` for each type writes a value at an address.

The inverse of `lift.py`; records are written from any object with attributes of the fields' names, results
always as their ok case (`refuse` writes the other), resources from a `Resource`.
"""

import ctypes
from collections.abc import Callable, Sequence
from operator import attrgetter
from struct import Struct
from typing import Any, NamedTuple

import numpy as np

from pie.application import abi
from pie.application.abi import memory
from pie.application.lift import NUMPY_FORMATS, column_dtype
from pie.application.stage import Stage
from pie.application.types import (
    EnumOf,
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

Lower = Callable[[int, Any], None]


class Resource(NamedTuple):
    """An owned resource for the guest: the number of its type, and its own."""

    type: int
    number: int


SCALARS = {
    "bool": (abi.BOOL, "?"),
    "s8": (abi.S8, "b"),
    "u8": (abi.U8, "B"),
    "s16": (abi.S16, "h"),
    "u16": (abi.U16, "H"),
    "s32": (abi.S32, "i"),
    "u32": (abi.U32, "I"),
    "s64": (abi.S64, "q"),
    "u64": (abi.U64, "Q"),
    "f32": (abi.F32, "f"),
    "f64": (abi.F64, "d"),
}
_POINTED = Struct("<B7xQ").pack_into
"""Tag and one pointer: options and resources."""
_RESULT = Struct("<B7x?7xQ").pack_into
_OK_UNIT = Struct("<B7x?7xQ").pack(abi.RESULT, True, 0)
_BLANK = (ctypes.c_char * abi.VAL_SIZE)()
_BLANK_ADDRESS = ctypes.addressof(_BLANK)
_POINTER = Struct("<Q").pack_into
_pointer_at = Struct("<Q").unpack_from


def lower(type: Type, stage: Stage) -> Lower:
    """How to write values of a type. Raises `UnknownType` for those that no host function returns."""
    match type:
        case Scalar("string"):
            return _write_text
        case Scalar("char"):
            raise UnknownType("char")
        case Scalar(name):
            return _scalar(*SCALARS[name])
        case EnumOf():
            return _write_enum
        case ListOf(Scalar("u8")):
            return _write_bytes
        case ListOf(Scalar(name)) if name in NUMPY_FORMATS:
            return _numbers(name)
        case Handle(True):
            return _handle(stage)
    return _compound(type, stage)


def _compound(type: Type, stage: Stage) -> Lower:
    match type:
        case ListOf(item):
            return _list(lower(item, stage))
        case TupleOf(items):
            return _tuple([lower(item, stage) for item in items])
        case RecordOf(fields):
            return _record([(name, lower(item, stage)) for name, item in fields])
        case OptionOf(item):
            return _option(lower(item, stage))
        case ResultOf(ok, _):
            return _ok(None if ok is None else lower(ok, stage))
        case VariantOf(cases):
            return _variant({name: lower(item, stage) if item else None for name, item in cases})
    raise UnknownType(str(type))


def refuse(type: ResultOf, stage: Stage) -> Lower:
    """How to write the error case of a result."""
    write = None if type.err is None else lower(type.err, stage)

    def write_err(address: int, value: Any) -> None:
        _RESULT(memory, address, abi.RESULT, False, _box(write, value) if write else 0)

    return write_err


def _box(write: Lower, value: Any) -> int:
    """A value with an address of its own, which whoever points to it frees."""
    box: int = abi.val_new(_BLANK_ADDRESS)
    write(box, value)
    return box


def _scalar(tag: int, format: str) -> Lower:
    pack = Struct("<B7x" + format).pack_into

    def write(address: int, value: Any) -> None:
        pack(memory, address, tag, value)

    return write


def _write_text(address: int, value: str) -> None:
    data = value.encode(errors="replace")
    memory[address] = abi.STRING
    abi.bytes_new(address + abi.PAYLOAD, len(data), data)


def _write_enum(address: int, value: str) -> None:
    data = value.encode()
    memory[address] = abi.ENUM
    abi.bytes_new(address + abi.PAYLOAD, len(data), data)


def _new_list(address: int, size: int) -> int:
    memory[address] = abi.LIST
    abi.list_new(address + abi.PAYLOAD, size)
    return _data_of(address)


def _data_of(address: int) -> int:
    """Where the items of a list, tuple or record lie."""
    data: int = _pointer_at(memory, address + abi.PAYLOAD + 8)[0]
    return data


def _write_column(address: int, tag: int, kind: np.dtype[Any], values: Any) -> None:
    data = _new_list(address, len(values))
    if len(values):
        column = np.frombuffer(memory[data : data + len(values) * abi.VAL_SIZE], kind)
        column["tag"] = tag
        column["value"] = values


def _numbers(name: str) -> Lower:
    tag, kind = SCALARS[name][0], column_dtype(name)
    return lambda address, values: _write_column(address, tag, kind, values)


_BYTE_COLUMN = column_dtype("u8")


def _write_bytes(address: int, value: bytes) -> None:
    _write_column(address, abi.U8, _BYTE_COLUMN, np.frombuffer(value, np.uint8))


def _list(write: Lower) -> Lower:
    def write_list(address: int, values: Sequence[Any]) -> None:
        data = _new_list(address, len(values))
        for i, value in enumerate(values):
            write(data + i * abi.VAL_SIZE, value)

    return write_list


def _tuple(writers: Sequence[Lower]) -> Lower:
    def write_tuple(address: int, values: Sequence[Any]) -> None:
        memory[address] = abi.TUPLE
        abi.tuple_new(address + abi.PAYLOAD, len(writers))
        data = _data_of(address)
        for i, (write, value) in enumerate(zip(writers, values, strict=True)):
            write(data + i * abi.VAL_SIZE, value)

    return write_tuple


def _record(fields: Sequence[tuple[str, Lower]]) -> Lower:
    plan = [(name.encode(), attrgetter(name.replace("-", "_")), write) for name, write in fields]

    def write_record(address: int, value: Any) -> None:
        memory[address] = abi.RECORD
        abi.record_new(address + abi.PAYLOAD, len(plan))
        entry = _data_of(address)
        for name, get, write in plan:
            abi.bytes_new(entry, len(name), name)
            write(entry + abi.RECORD_ENTRY_VALUE, get(value))
            entry += abi.RECORD_ENTRY_SIZE

    return write_record


def _option(write: Lower) -> Lower:
    def write_option(address: int, value: Any) -> None:
        _POINTED(memory, address, abi.OPTION, 0 if value is None else _box(write, value))

    return write_option


def _ok(write: Lower | None) -> Lower:
    if write is None:
        return _write_ok_unit

    def write_ok(address: int, value: Any) -> None:
        _RESULT(memory, address, abi.RESULT, True, _box(write, value))

    return write_ok


def _write_ok_unit(address: int, value: None) -> None:
    del value
    memory[address : address + 24] = _OK_UNIT


def _variant(cases: dict[str, Lower | None]) -> Lower:
    def write_variant(address: int, value: tuple[str, Any]) -> None:
        name, payload = value
        write, data = cases[name], name.encode()
        memory[address] = abi.VARIANT
        abi.bytes_new(address + abi.PAYLOAD, len(data), data)
        _POINTER(memory, address + 24, _box(write, payload) if write else 0)

    return write_variant


def _handle(stage: Stage) -> Lower:
    def write_handle(address: int, value: Resource) -> None:
        host = abi.resource_new(True, value.number, value.type)
        out = ctypes.c_void_p()
        error = abi.resource_to_any(stage.context, host, ctypes.addressof(out))
        abi.resource_delete(host)
        if error:
            raise RuntimeError(abi.take_error(error))
        _POINTED(memory, address, abi.RESOURCE, out.value or 0)

    return write_handle
