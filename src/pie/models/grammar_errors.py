"""What llguidance says about a bad grammar, in words that name the place in what the user wrote."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MOST_TRIALS = 400
"""Parts of a schema that are tried in the search for the one that is wrong."""
SHOWN = 600

_PLACE = re.compile(r"^(?:at )?(\d+)\((\d+)\): (.*)", re.DOTALL)
_EMPTY = "NoExtension"
"""How llguidance reports, already at the beginning, that nothing can follow."""

Diagnose = Callable[[Mapping[str, Any]], str]
"""The error of a schema on its own; empty where there is none."""


def clear_regex(error: str) -> str:
    if error.startswith(_EMPTY):
        return "the regular expression matches no text at all"
    _, parsed, said = error.partition("regex parse error:\n")
    if not parsed:
        return f"the regular expression is not accepted: {_without_place(error)}"
    return f"the regular expression is not valid:\n{_before_listing(said)[:SHOWN]}"


def clear_lark(error: str) -> str:
    if error.startswith(_EMPTY):
        return "the grammar matches no text at all"
    found = _PLACE.match(error)
    if not found:
        return f"the grammar is not valid: {error[:SHOWN].strip()}"
    line, column, said = found.groups()
    return f"the grammar is not valid: line {line}, column {column}: {said[:SHOWN].rstrip()}"


def clear_schema(schema: Mapping[str, Any], error: str, diagnose: Diagnose) -> str:
    """Names the smallest part of the schema that has the same error alone."""
    said = error.partition("\n")[0][:SHOWN]
    if error.startswith(_EMPTY):
        return "no JSON text at all fits the schema"
    where = _find(schema, lambda part: diagnose(part).partition("\n")[0][:SHOWN] == said)
    said = said.replace("Unimplemented keys:", "these keywords are not supported:")
    return f"the schema is not accepted: at {where}: {said}"


def _find(schema: Mapping[str, Any], fails: Callable[[Mapping[str, Any]], bool]) -> str:
    """The path of the innermost part that is not accepted, as a JSON pointer."""
    path, part, trials = "#", schema, 0
    shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    while True:
        for step, inner in _parts(part):
            trials += 1
            if trials > MOST_TRIALS:
                return path
            if fails({**shared, **inner}):
                path, part = path + step, inner
                break
        else:
            return path


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schemas right inside a schema, with the way to them."""
    for name in ("properties", "patternProperties", "$defs", "definitions"):
        inner = schema.get(name)
        if isinstance(inner, dict):
            yield from ((f"/{name}/{_escaped(key)}", part) for key, part in inner.items() if _is(part))
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inner = schema.get(name)
        if isinstance(inner, list):
            yield from ((f"/{name}/{i}", part) for i, part in enumerate(inner) if _is(part))
    for name in ("items", "additionalProperties", "additionalItems"):
        if _is(schema.get(name)):
            yield f"/{name}", schema[name]


def _is(part: object) -> bool:
    return isinstance(part, dict)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _without_place(error: str) -> str:
    found = _PLACE.match(error)
    return _before_listing(found[3] if found else error)[:SHOWN]


def _before_listing(said: str) -> str:
    """Without the lines of the wrapper that llguidance puts around the expression."""
    return re.split(r"\n\s+\d+ \| ", said, maxsplit=1)[0].rstrip()
