"""The order in which queues get into a pass: start-time fair queueing between tenants.

P. Goyal, H. M. Vin, H. Cheng: Start-time Fair Queueing, SIGCOMM 1996. Each tenant has a virtual time: what
its queues have put into passes (input tokens and distributions), divided by its weight. Whoever has the least
goes next, queue by queue, so that also within one pass with a bound (of prompts, of tokens) each gets its
share. A tenant alone gets everything; one that comes back from idleness begins where the others are, so it
neither has credit nor pays for what it had while nobody else wanted it.

Priorities come first: tenants share within the highest that anybody has. A queue that was left out for too
long counts as of that priority. Within a tenant, those served least recently come first.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace

from pie.control.queue import CommandQueue
from pie.control.ticket import Entry

KEPT = 0.3
"""Of what a tenant may be slowed down by others, so much is planned."""


class Sharing:
    """Of one planner. Costs next to nothing while there is one tenant."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = weights
        """Of tenants; 1 for those that are not named."""
        self._now = 0.0
        """Virtual time at which what was served last began: where newcomers begin."""
        self._next: dict[str, float] = {}
        """When the next work of each tenant begins, in virtual time."""
        self._left_out: set[str] = set()
        """Tenants of whom something waits since the last pass: they were not idle, and keep their time."""

    @property
    def tenants(self) -> int:
        """How many have been seen."""
        return len(self._next)

    def order(self, waiting: Iterable[CommandQueue], patience: int) -> Iterator[CommandQueue]:
        """Each queue once. What one has put into the pass is to be charged before the next is asked for."""
        queues = sorted(waiting, key=lambda queue: queue.turn(patience))
        tenants = {queue.space.tenant for queue in queues}
        self._welcome(tenants)
        return iter(queues) if len(tenants) < 2 else self._in_turns(queues, patience)

    def charge(self, entry: Entry) -> None:
        """Its part in the pass is as large as it gets."""
        if self.tenants > 1 and entry.joined:
            tenant = entry.queue.space.tenant
            began = self._next[tenant]
            self._now = max(self._now, began)
            cost = entry.tokens + entry.dists  # what else it does takes nothing that others lack
            self._next[tenant] = began + cost / self.weights.get(tenant, 1.0)

    def most_inputs(self, wanted: Mapping[str, int], most: int, seconds: Callable[[int], float]) -> int:
        """How many inputs a pass may have, of `most`, so that nobody's takes longer than its share of the
        driver's time says: of two tenants alike, not twice as long as with its own inputs alone. `wanted`:
        inputs of those who are here; `seconds`: of a pass with so many.

        A part of that is left for what no plan can avoid, such as the pass that is under way.
        """
        total = sum(self.weights.get(tenant, 1.0) for tenant in wanted)
        stretch = {tenant: 1 + KEPT * (total / self.weights.get(tenant, 1.0) - 1) for tenant in wanted}
        longest = min(stretch[tenant] * seconds(count) for tenant, count in wanted.items())
        fewest = min(min(wanted.values()), most)
        return bisect_right(range(fewest, most), longest, key=seconds) + fewest

    def sent(self, waiting: Iterable[CommandQueue]) -> None:
        """The pass is complete, and these were left out."""
        if self.tenants > 1:
            self._left_out = {queue.space.tenant for queue in waiting}

    def _welcome(self, tenants: Iterable[str]) -> None:
        for tenant in tenants:
            if tenant not in self._left_out:
                self._next[tenant] = max(self._next.get(tenant, 0.0), self._now)

    def _in_turns(self, queues: Sequence[CommandQueue], patience: int) -> Iterator[CommandQueue]:
        levels: dict[int, dict[str, list[CommandQueue]]] = {}
        highest = max(queue.priority for queue in queues)
        for queue in queues:
            level = highest if queue.skipped >= patience else queue.priority
            levels.setdefault(level, {}).setdefault(queue.space.tenant, []).append(queue)
        for level in sorted(levels, reverse=True):
            yield from self._merge(levels[level])

    def _merge(self, lines: Mapping[str, list[CommandQueue]]) -> Iterator[CommandQueue]:
        """Always from the tenant whose time is least; of equals, from the one served least recently."""
        heap = [(self._next[tenant], line[0].last_pass, tenant, 0) for tenant, line in lines.items()]
        heapify(heap)
        while heap:
            _, _, tenant, number = heap[0]
            line = lines[tenant]
            yield line[number]
            number += 1
            if number < len(line):
                heapreplace(heap, (self._next[tenant], line[number].last_pass, tenant, number))
            else:
                heappop(heap)
