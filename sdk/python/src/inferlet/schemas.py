"""JSON schemas from Python types, and Python values from JSON.

Understood are `str`, `int`, `float`, `bool`, `None`, `list[X]`, `dict[str, X]`, `Literal`, `Enum`,
dataclasses, unions of these, and `Any`.
"""

import dataclasses
import types
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from inferlet.errors import InvalidArgument

Schema = dict[str, Any]

PLAIN: dict[Any, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null", None: "null",
}


def schema_of(kind: Any) -> Schema:
    """The JSON schema of a type annotation. Raises `TypeError` for one that JSON has no counterpart of."""
    if kind is Any:
        return {}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(arg) for arg in args]}
    if kind is list or origin is list:
        return {"type": "array", "items": schema_of(args[0] if args else Any)}
    if kind is dict or origin is dict:
        return {"type": "object", "additionalProperties": schema_of(args[1] if args else Any)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind):
        return _schema_of_fields(kind)
    raise TypeError(f"{kind!r} has no counterpart in JSON: take str, int, float, bool, list, dict, ...")


def object_schema(properties: dict[str, Schema], required: list[str]) -> Schema:
    """The schema of an object that has these properties and no others."""
    return {
        "type": "object", "properties": properties, "required": required, "additionalProperties": False
    }


def convert(kind: Any, value: Any, where: str) -> Any:
    """A JSON value as one of this type. Raises `InvalidArgument` that says where it does not fit."""
    if kind is Any:
        return value
    if kind in PLAIN:
        return _plain(kind, value, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _one_of(list(args), value, where)
    if origin in (Union, types.UnionType):
        return _first_fitting(args, value, where)
    if kind is list or origin is list:
        items = _of_type(list, value, where)
        return [convert(args[0] if args else Any, item, f"{where}[{n}]") for n, item in enumerate(items)]
    if kind is dict or origin is dict:
        named = _of_type(dict, value, where).items()
        return {name: convert(args[1] if args else Any, item, f"{where}.{name}") for name, item in named}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(_one_of([member.value for member in kind], value, where))
    return kind(**convert_fields(*_fields(kind), value, where))


def convert_fields(kinds: dict[str, Any], required: list[str], value: Any, where: str) -> dict[str, Any]:
    """A JSON object whose properties have these types."""
    found = _of_type(dict, value, where)
    missing = [name for name in required if name not in found]
    if missing:
        raise InvalidArgument(f"{where} lacks {', '.join(missing)}")
    unknown = [name for name in found if name not in kinds]
    if unknown:
        raise InvalidArgument(f"{where} has no {', '.join(unknown)}; there is: {', '.join(kinds)}")
    return {name: convert(kinds[name], item, f"{where}.{name}") for name, item in found.items()}


def _schema_of_fields(kind: Any) -> Schema:
    kinds, required = _fields(kind)
    return object_schema({name: schema_of(field) for name, field in kinds.items()}, required)


def _fields(kind: Any) -> tuple[dict[str, Any], list[str]]:
    """Types of a dataclass's fields, and the names of those that have no default."""
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    required = [each.name for each in fields if each.default is missing and each.default_factory is missing]
    return {each.name: hints[each.name] for each in fields}, required


def _plain(kind: Any, value: Any, where: str) -> Any:
    fits = value is None if kind in (None, types.NoneType) else isinstance(value, kind)
    if kind is float and isinstance(value, int):
        fits = True
        value = value if isinstance(value, bool) else float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise InvalidArgument(f"{where} must be of type {PLAIN[kind]}, not {value!r}")
    return value


def _of_type(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        name = "an array" if kind is list else "an object"
        raise InvalidArgument(f"{where} must be {name}, not {value!r}")
    return value


def _one_of(allowed: list[Any], value: Any, where: str) -> Any:
    if value not in allowed:
        raise InvalidArgument(f"{where} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value


def _first_fitting(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    for kind in kinds:
        try:
            return convert(kind, value, where)
        except InvalidArgument:
            continue
    shown = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise InvalidArgument(f"{where} must be {shown}, not {value!r}")
