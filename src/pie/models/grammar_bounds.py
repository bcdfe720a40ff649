"""JSON schemas whose numbers, times and names come to an end.

A schema's number may have any number of digits, and so may the seconds of a `date-time`; a small model that
has begun to write digits goes on. So where a schema sets no bounds of its own we add some: 15 digits before
the point, 9 after it, no exponent; of a format, as many characters as make sense. What fits the narrower
schema fits the given one.
"""

from collections.abc import Mapping
from typing import Any

LARGEST = 10**15
STEP = 1e-9
LENGTHS = {"date-time": 35, "time": 24, "duration": 40, "email": 254, "hostname": 253, "uri": 2048}
"""Most characters of a format: times with nine digits of a second and an offset (RFC 3339), addresses as
RFC 5321 and RFC 1035 bound them."""
NUMERIC = ("number", "integer")
ELSEWHERE = ("$ref", "enum", "const", "anyOf", "oneOf", "allOf")
"""Keywords with which a schema says itself, or in its parts, what the value is."""
NAMED = ("properties", "patternProperties", "$defs", "definitions")
LISTED = ("anyOf", "allOf", "prefixItems")
"""Not `oneOf`: narrower parts could be told apart where the given ones cannot."""
SINGLE = ("items", "additionalProperties", "additionalItems")


def with_bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, narrowed."""
    found = {key: _inner(key, value) for key, value in schema.items()}
    if _is_numeric(schema):
        found.setdefault("multipleOf", STEP)
        if not {"minimum", "exclusiveMinimum"} & schema.keys():
            found["minimum"] = -LARGEST
        if not {"maximum", "exclusiveMaximum"} & schema.keys():
            found["maximum"] = LARGEST
    if schema.get("type") == "string" and schema.keys().isdisjoint(ELSEWHERE) and _length(schema):
        found.setdefault("maxLength", _length(schema))
    return found


def _length(schema: Mapping[str, Any]) -> int:
    """Of its format; 0 where that has an end by itself."""
    form = schema.get("format")
    return LENGTHS.get(form, 0) if isinstance(form, str) else 0


def _inner(key: str, value: Any) -> Any:
    if key in NAMED and isinstance(value, dict):
        return {name: _part(part) for name, part in value.items()}
    if key in LISTED and isinstance(value, list):
        return [_part(part) for part in value]
    return _part(value) if key in SINGLE else value


def _part(part: Any) -> Any:
    return with_bounds(part) if isinstance(part, dict) else part


def _is_numeric(schema: Mapping[str, Any]) -> bool:
    if not schema.keys().isdisjoint(ELSEWHERE):
        return False
    types = schema.get("type", ())
    return any(kind in NUMERIC for kind in ([types] if isinstance(types, str) else types))
