"""Hints about where pages should lie. There is one tier so far, the device, and pages never leave it.

So a promise to keep them there holds by itself, for as long as promises are made; and nothing can be moved
away or brought back: such hints are rejected, not ignored.
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
    space: AddressSpace, settings: ControlSettings, hint: Hint, pages: Sequence[VirtualPage], ttl_ms: int
) -> HintAnswer:
    """Raises `UnknownId` for pages that the program does not have."""
    leases = space.pages.find(pages)
    if hint != "retain" or any(lease.absence is Absence.LOST for lease in leases):
        return "rejected"
    return "clipped" if ttl_ms > settings.max_retain_ms else "accepted"
