"""Hints about where pages should lie.

Pages leave the device only when others need the room, and then with all of a program's (`pressure.py`). One
that has asked for its pages to be retained is suspended last. Single pages cannot be moved away or brought
back: such hints are rejected, not ignored.
"""

from collections.abc import Sequence
from typing import Literal

from pie.control.addresses import AddressSpace
from pie.control.leases import Absence
from pie.control.settings import ControlSettings
from pie.core.ids import VirtualPage

HintAnswer = Literal["accepted", "clipped", "deferred", "rejected"]
"""All of it is done; less than was asked; later; nothing."""
Hint = Literal["retain", "demote", "prefetch"]


def answer_hint(
    space: AddressSpace,
    settings: ControlSettings,
    hint: Hint,
    pages: Sequence[VirtualPage],
    ttl_ms: int,
    now: float,
) -> HintAnswer:
    """Raises `UnknownId` for pages that the program does not have."""
    leases = space.pages.find(pages)
    if hint != "retain" or any(lease.absence is Absence.LOST for lease in leases):
        return "rejected"
    space.retained_until = now + min(ttl_ms, settings.max_retain_ms) / 1000
    return "clipped" if ttl_ms > settings.max_retain_ms else "accepted"
