"""Hints about where pages should lie.

All pages of a program leave the device together, and come back together (`pressure.py`). One that has asked
for its pages to be retained is suspended last. One that demotes all it has is suspended as soon as it is
quiet, and its pages come back with its next command, or when it asks for that, as far as there is room.
Demoting single pages is rejected, not ignored.
"""

from collections.abc import Sequence
from typing import Literal

from pie.control.addresses import AddressSpace
from pie.control.leases import Absence
from pie.control.pressure import Pressure
from pie.control.settings import ControlSettings
from pie.core.ids import VirtualPage

HintAnswer = Literal["accepted", "clipped", "deferred", "rejected"]
"""All of it is done; less than was asked; later; nothing."""
Hint = Literal["retain", "demote", "prefetch"]


def answer_hint(
    space: AddressSpace,
    settings: ControlSettings,
    pressure: Pressure,
    hint: Hint,
    pages: Sequence[VirtualPage],
    ttl_ms: int,
    now: float,
) -> HintAnswer:
    """Raises `UnknownId` for pages that the program does not have."""
    leases = space.pages.find(pages)
    if any(lease.absence is Absence.LOST for lease in leases):
        return "rejected"
    if hint == "retain":
        space.retained_until = now + min(ttl_ms, settings.max_retain_ms) / 1000
        return "clipped" if ttl_ms > settings.max_retain_ms else "accepted"
    if hint == "prefetch":
        pressure.wishes.prefetch(space)
        return "deferred" if space.suspended else "accepted"
    if len(set(pages)) < len(space.pages.leases) or not pressure.has_places:
        return "rejected"
    if space.suspended:
        return "accepted"
    pressure.wishes.demote(space)
    return "deferred"
