"""Which Python values can travel as JSON and come out the same."""

import math
from collections.abc import Iterable, Sequence
from typing import cast

PLAIN = (str, int, bool, type(None))


def why_not_json(value: object, place: str) -> str | None:
    """None if `value` is JSON-like: None, bool, int, finite float, str, and lists, tuples and string-keyed
    dicts of these. Else what is wrong, naming the place: `options["seed"] is a set`."""
    if type(value) in PLAIN:
        return None
    if isinstance(value, float) and type(value) is float:
        return None if math.isfinite(value) else f"{place} is {value}, which JSON cannot say"
    if type(value) in (list, tuple):
        items: Sequence[object] = cast(Sequence[object], value)
        return first(why_not_json(item, f"{place}[{i}]") for i, item in enumerate(items))
    if isinstance(value, dict) and type(value) is dict:
        return why_not_dict(value, place)
    return f"{place} is of type {type(value).__name__}"


def why_not_dict(value: dict[object, object], place: str) -> str | None:
    for key, item in value.items():
        if type(key) is not str:
            return f"{place} has the key {key!r}, which is not a string"
        if problem := why_not_json(item, f"{place}[{key!r}]"):
            return problem
    return None


def first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem), None)
