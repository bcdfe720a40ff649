"""A launch as the protocol says it → a `Launch` as the application takes it."""

import re
from dataclasses import replace

import msgspec

from pie.core.errors import InvalidArgument
from pie.core.programs import Component, Launch, Limits, Program, Source, Standard
from pie.protocol import LaunchBody, LimitsBody

DIGEST = re.compile(r"[0-9a-f]{64}")


def to_launch(body: LaunchBody, ceiling: Limits, tenant: str) -> Launch:
    return Launch(to_program(body), tuple(body.args), to_limits(body.limits, ceiling), tenant)


def to_program(body: LaunchBody) -> Program:
    if (body.program is None) == (body.source is None):
        raise InvalidArgument("a launch names either a `program` or brings its `source`")
    if body.source is not None:
        return Source(body.source, body.filename, body.first_line, body.entry)
    name = body.program or ""
    return Component(name) if DIGEST.fullmatch(name) else Standard(name)


def to_limits(asked: LimitsBody | None, ceiling: Limits) -> Limits:
    """Raises InvalidArgument where more is asked for than the server gives."""
    if asked is None:
        return ceiling
    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    if "hosts" in given:
        given["hosts"] = tuple(given["hosts"])
    for name, value in given.items():
        if name != "hosts" and value > getattr(ceiling, name):
            most = getattr(ceiling, name)
            raise InvalidArgument(f"limits.{name} is {value:g}; this server gives at most {most:g}")
    return replace(ceiling, **given)
