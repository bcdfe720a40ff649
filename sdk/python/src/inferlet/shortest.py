"""How long the shortest JSON is that fits a schema, in characters: never more tokens than that.

An estimate: patterns and formats count as some dozen characters, `allOf` as all its parts.
"""

from collections.abc import Mapping
from typing import Any

ENDLESS = 1 << 30
UNKNOWN = 24
"""A string with a pattern or a format."""
PLAIN = {"boolean": 4, "null": 4, "number": 8, "integer": 8}


class Lengths:
    """Of the parts of one schema. A reference within itself has no end: the shortest text never needs one."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        """whole: where references lead to."""
        self._whole = whole
        self._named: dict[str, int] = {}

    def of(self, schema: Any) -> int:
        """Characters."""
        if not isinstance(schema, Mapping):
            return 4
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return min(self.of(part) for part in schema[key])
        if schema.get("allOf"):
            return min(ENDLESS, sum(self.of(part) for part in schema["allOf"]))
        return self._of_name(str(schema["$ref"])) if "$ref" in schema else self._of_values(schema)

    def _of_name(self, reference: str) -> int:
        if reference not in self._named:
            self._named[reference] = ENDLESS
            self._named[reference] = self.of(found(reference, self._whole))
        return self._named[reference]

    def _of_values(self, schema: Mapping[str, Any]) -> int:
        if "const" in schema or schema.get("enum"):
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return min(2 * len(str(value)) + 2 for value in values)
        kinds = schema.get("type", "null")
        return min(self._of_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))

    def _of_kind(self, kind: str, schema: Mapping[str, Any]) -> int:
        if kind == "object":
            named, properties = schema.get("required", ()), schema.get("properties", {})
            inner = sum(len(name) + 6 + self.of(properties.get(name)) for name in named)
            return min(ENDLESS, 2 + inner + 12 * int(schema.get("minProperties", 0)))
        if kind == "array":
            count = int(schema.get("minItems", 0))
            return min(ENDLESS, 2 + count * (self.of(schema.get("items")) + 2)) if count else 2
        if kind == "string":
            unknown = UNKNOWN if {"pattern", "format"} & schema.keys() else 0
            return 2 + int(schema.get("minLength", 0)) + unknown
        return PLAIN.get(kind, 4)


def found(reference: str, whole: Mapping[str, Any]) -> Any:
    """What "#/$defs/name" names; None where there is nothing."""
    place: Any = whole
    for name in reference.removeprefix("#").split("/")[1:]:
        place = place.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(place, Mapping) else None
    return place
