"""Everything at a glance: what the server does, and what each program is doing just now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pie.application.guest import Guest
from pie.application.instance import Instance
from pie.application.statistics import ApplicationStatistics
from pie.control import ModelStatistics
from pie.control.statistics import Glance

Doing = Literal["waiting", "starting", "running", "computing", "model", "tool", "suspended"]
"""Waits for a place; was launched just now; runs or is about to; used up its slice of time and wants to go
on; waits for the model; waits for something outside; its pages are off the device."""


@dataclass(frozen=True, slots=True)
class Row:
    """One program that has not ended."""

    id: str
    program: str
    tenant: str
    doing: Doing
    tools: list[str]
    """What it waits for outside, where timelines are on."""
    pages: int
    host_pages: int
    tokens: int
    cpu_seconds: float
    started_at: float


@dataclass(frozen=True, slots=True)
class Overview:
    at: float
    """Seconds since 1970."""
    programs: ApplicationStatistics
    models: dict[str, ModelStatistics]
    rows: list[Row]
    """Oldest first."""


def make_row(instance: Instance, computes: Callable[[Guest], bool]) -> Row | None:
    """None for one that has just ended."""
    guest = instance.guest
    if guest is None:
        return None
    glance = guest.session.glance()
    return Row(
        instance.id,
        instance.program,
        instance.tenant,
        what(instance, guest, glance, computes),
        guest.trace.tools[:4] if guest.trace is not None else [],
        glance.pages,
        glance.host_pages,
        glance.tokens,
        guest.cpu_seconds,
        instance.started_at,
    )


def what(instance: Instance, guest: Guest, glance: Glance, computes: Callable[[Guest], bool]) -> Doing:
    match instance.state:
        case "waiting" | "starting" as early:
            return early
    if glance.suspended:
        return "suspended"
    if not guest.asleep:
        return "computing" if computes(guest) else "running"
    return "model" if glance.commands else "tool"
