"""Programs that asked to be told when pages run short, so that they give some back themselves.

Whoever is told has a moment in which it is not suspended. It is told again after a while at the earliest:
asking once more and giving nothing back does not keep its pages.
"""

import math
from collections import deque

from pie.control.addresses import AddressSpace
from pie.control.outcomes import AnyOutcome, Outcome
from pie.control.queue import CommandQueue
from pie.control.settings import ControlSettings
from pie.core.commands import Completion


class Notices:
    """Of one model."""

    def __init__(self, settings: ControlSettings, outcomes: deque[AnyOutcome]) -> None:
        self.told = 0
        """How often a program was."""
        self._settings = settings
        self._outcomes = outcomes
        self._listeners: dict[AddressSpace, dict[Completion, CommandQueue]] = {}
        self._told: dict[AddressSpace, float] = {}
        """When each was told last."""

    @property
    def any(self) -> bool:
        return bool(self._listeners)

    def listen(self, queue: CommandQueue, completion: Completion) -> None:
        """Resolved with the number of pages that are missing."""
        self._listeners.setdefault(queue.space, {})[completion] = queue

    def ignore(self, space: AddressSpace, completion: Completion) -> None:
        listeners = self._listeners.get(space, {})
        if listeners.pop(completion, None) is not None and not listeners:
            del self._listeners[space]

    def close(self, space: AddressSpace) -> None:
        self._listeners.pop(space, None)
        self._told.pop(space, None)

    def tell(self, missing: int, needy: AddressSpace, now: float) -> None:
        """So many pages are missing for `needy`: all others that have some are told."""
        again = now - self._settings.notice_again_ms / 1000
        for space in list(self._listeners):
            if space is not needy and space.pages.held.held and self._told.get(space, -math.inf) <= again:
                self._told[space] = now
                self.told += 1
                for completion, queue in self._listeners.pop(space).items():
                    self._outcomes.append(Outcome(queue, completion, missing, None))

    def spares(self, space: AddressSpace, now: float) -> bool:
        """It was told just now."""
        return bool(self._told) and now < self._told.get(space, -math.inf) + self._settings.notice_ms / 1000

    def pending(self, now: float) -> bool:
        """Somebody was told just now and may give pages back."""
        return any(self.spares(space, now) for space in self._told)
