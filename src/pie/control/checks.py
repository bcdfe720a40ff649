"""Submission: names become leases and numbers are checked, in program order, before anything is queued.

What is wrong is raised at once, so that the program's own line stands in its traceback. One function for each
command, by its class: those for the commands of a trait stand in a file of their own, with a table `CHECKS`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pie.control import (
    checks_exports,
    checks_forward,
    checks_matchers,
    checks_pages,
    checks_slots,
    checks_stats,
)
from pie.control.addresses import AddressSpace
from pie.control.bounds import Bounds, Check
from pie.control.exports import Exports
from pie.control.settings import ControlSettings
from pie.control.work import Work
from pie.core.commands import Command, Completion
from pie.core.driver import DriverSpec
from pie.core.errors import InvalidArgument

CHECKS: Mapping[type, Check] = MappingProxyType(
    {
        **checks_pages.CHECKS,
        **checks_exports.CHECKS,
        **checks_forward.CHECKS,
        **checks_slots.CHECKS,
        **checks_stats.CHECKS,
        **checks_matchers.CHECKS,
    }
)


class Checks:
    """For one model."""

    def __init__(self, spec: DriverSpec, settings: ControlSettings, exports: Exports) -> None:
        self._bounds = Bounds(spec, settings, exports)

    def check(self, space: AddressSpace, command: Command, completion: Completion | None) -> Work | None:
        """The work to queue; None where the command is done already."""
        check = CHECKS.get(type(command))
        if check is None:
            raise InvalidArgument(f"{type(command).__name__} is no command")
        return check(self._bounds, space, command, completion)
