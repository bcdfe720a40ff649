"""What programs ask for about where their own pages lie: away from the device, or back to it."""

from collections.abc import Iterable

from pie.control.addresses import AddressSpace
from pie.control.ticket import Ticket


class Wishes:
    """On one model. A program's pages move together (decision 17), and only while it asks for nothing."""

    def __init__(self, in_flight: Iterable[Ticket]) -> None:
        self._in_flight = in_flight
        self._away: dict[AddressSpace, None] = {}
        self.back: dict[AddressSpace, None] = {}
        """Suspended ones that will need their pages soon."""

    @property
    def due(self) -> bool:
        """Something can be done in the next pass."""
        return bool(self.back) or any(map(self._is_quiet, self._away))

    def demote(self, space: AddressSpace) -> None:
        self._away[space] = None

    def prefetch(self, space: AddressSpace) -> None:
        self._away.pop(space, None)
        if space.suspended:
            self.back[space] = None

    def forget(self, space: AddressSpace) -> None:
        self._away.pop(space, None)
        self.back.pop(space, None)

    def take_away(self) -> list[AddressSpace]:
        """Programs whose pages are to leave with the next pass; each is told once."""
        found = [space for space in self._away if self._is_quiet(space)]
        for space in found:
            del self._away[space]
        return found

    def _is_quiet(self, space: AddressSpace) -> bool:
        """Nothing of it waits or is with the driver."""
        return not any(queue.work for queue in space.queues) and not any(
            entry.queue.space is space for ticket in self._in_flight for entry in ticket.entries
        )
