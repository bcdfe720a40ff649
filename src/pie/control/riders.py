"""Who of a lower priority rides along in a pass of a higher one.

Each input makes a pass longer, and those of a high priority wait for everybody in it. So with them ride only
so many of their tenant's other queues as hardly lengthen the pass: a share of their own number, at least one,
so that nobody waits for ever. All others go when nobody of a higher priority wants anything. Between tenants
priorities mean nothing here.
"""

from collections import Counter
from collections.abc import Iterable

from pie.control.queue import CommandQueue
from pie.control.work import EmbedWork, ForwardWork, ScoreWork, StatsWork

SHARE = 0.25
"""Riders, of the queues with whom they ride."""


class Riders:
    """Of one pass under construction."""

    def __init__(self, waiting: Iterable[CommandQueue], patience: int) -> None:
        """`patience`: passes that a queue with a prompt to read waits before it may ride."""
        self._patience = patience
        self._highest: dict[str, int] = {}
        for queue in waiting:
            tenant = queue.space.tenant
            self._highest[tenant] = max(queue.priority, self._highest.get(tenant, queue.priority))
        self._hosts: Counter[str] = Counter()
        self._riders: Counter[str] = Counter()

    def may_join(self, queue: CommandQueue) -> bool:
        tenant = queue.space.tenant
        if queue.priority >= self._highest[tenant]:
            return True
        if self._riders[tenant] >= max(1, int(SHARE * self._hosts[tenant])):
            return False
        return queue.skipped >= self._patience or not is_wide(queue)

    def joined(self, queue: CommandQueue) -> None:
        tenant = queue.space.tenant
        (self._hosts if queue.priority >= self._highest[tenant] else self._riders)[tenant] += 1


def find_riders(waiting: Iterable[CommandQueue], patience: int) -> Riders | None:
    """None where all have the same priority."""
    same = len({queue.priority for queue in waiting}) < 2
    return None if same else Riders(waiting, patience)


def is_wide(queue: CommandQueue) -> bool:
    """Whether its next command takes more than a decoding step does."""
    return inputs_of(queue) > 1


def inputs_of(queue: CommandQueue) -> int:
    """About how many its next command brings into a pass."""
    match queue.work[0]:
        case EmbedWork(embs=embs) | ScoreWork(embs=embs):
            return len(embs)
        case ForwardWork(inputs=inputs) | StatsWork(forward=ForwardWork(inputs=inputs)):
            return len(inputs)
        case _:
            return 1
