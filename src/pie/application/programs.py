"""From what somebody wants to launch to what can be launched."""

import dataclasses

from pie.application.components import Components
from pie.application.linked import Linked
from pie.core.errors import BadProgram, LimitExceeded
from pie.core.programs import Component, Launch, Limits, Program, Source, Standard
from pie.standard import standard_source

MOST_ARGUMENTS = 4096
MOST_ARGUMENT_BYTES = 8 << 20
MOST_SOURCE_BYTES = 8 << 20
MOST_FIRST_LINE = 1 << 20
NUMBERS = tuple(field.name for field in dataclasses.fields(Limits) if field.name != "hosts")
"""Limits of which the lower one holds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Launchable:
    name: str
    """For people."""
    linked: Linked
    source: Source | None
    """None for a component that brings its own program."""


def resolve(program: Program, components: Components) -> Launchable:
    """Raises `NotFound` or `BadProgram`."""
    match program:
        case Component(digest):
            return Launchable(digest[:12], components.find(digest), None)
        case Standard(name):
            return Launchable(name, components.runner, standard_source(name))
        case Source(filename=filename):
            _check_source(program)
            return Launchable(filename, components.runner, program)


def _check_source(source: Source) -> None:
    if len(source.text) > MOST_SOURCE_BYTES:
        size = len(source.text)
        raise BadProgram(f"the program's text has {size} characters, more than {MOST_SOURCE_BYTES}")
    if not 0 < source.first_line <= MOST_FIRST_LINE:
        raise BadProgram(f"first_line must be from 1 to {MOST_FIRST_LINE}, not {source.first_line}")


def check_arguments(launch: Launch) -> None:
    """Raises `LimitExceeded` for arguments that are too many or too long."""
    size = sum(map(len, launch.args))
    if len(launch.args) > MOST_ARGUMENTS or size > MOST_ARGUMENT_BYTES:
        raise LimitExceeded(
            f"{len(launch.args)} arguments with {size} characters are too many; at most {MOST_ARGUMENTS} "
            f"with {MOST_ARGUMENT_BYTES}: send long data as messages"
        )


def size_of(launch: Launch) -> int:
    """About how many bytes it holds while it waits."""
    text = len(launch.program.text) if isinstance(launch.program, Source) else 0
    return text + sum(map(len, launch.args))


def least(asked: Limits, most: Limits) -> Limits:
    """What was asked for, as far as it is allowed."""
    lower = {name: min(getattr(asked, name), getattr(most, name)) for name in NUMBERS}
    return Limits(**lower, hosts=_common(asked.hosts, most.hosts))


def _common(asked: tuple[str, ...] | None, most: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if asked is None or most is None:
        return most if asked is None else asked
    return tuple(host for host in asked if host in most)
