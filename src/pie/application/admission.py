"""Who may start now, who waits, and who is told to come back later.

So many programs may be alive at once, and so many launches may wait for a place; beyond that a launch is
refused at once, with an estimate of when it is worth another try. A tenant may have its share of both.
Places that become free go to the tenants in turns, and within a tenant to the launch that has waited longest:
one who launches thousands does not keep the others out.

Programs that others spawn do not wait: whoever spawned them holds a place, and may wait for them.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pie.core.errors import LimitExceeded, Overloaded
from pie.core.programs import Quota

Reason = Literal["queue_full", "queue_bytes", "tenant_share", "no_place", "timeout", "quota"]

MEMORY_SECONDS = 30.0
"""Ends of programs that are longer ago hardly count in the rate."""
UNKNOWN_SECONDS = 5.0
"""Before any program has ended."""
LONGEST_SECONDS = 60.0
UNLIMITED = Quota()
PART = 0.1
"""Of the queue, which should have moved up when somebody comes back."""


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    places: int = 2048
    """Programs alive at once."""
    queue: int = 1024
    """Launches that wait for a place."""
    queue_bytes: int = 256 << 20
    """Their programs' texts and arguments together."""
    share: float = 1.0
    """Of the places, and of the queue, that one tenant may have."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """The same for tenants of which the operator has said more."""
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    """Of tenants: how many programs, and how many spawned ones among them, may be alive."""


class Rate:
    """Of something that happens now and then, per second; what is long ago counts less."""

    def __init__(self, seconds: float = MEMORY_SECONDS) -> None:
        self._seconds = seconds
        self._count = 0.0
        self._began = math.inf
        self._last = 0.0

    def note(self, now: float) -> None:
        self._count = self._left(now) + 1.0
        self._began, self._last = min(self._began, now), now

    def per_second(self, now: float) -> float:
        """0 before the second time."""
        known = 1.0 - math.exp(-max(0.0, now - self._began) / self._seconds)
        return self._left(now) / (self._seconds * known) if known > 0 else 0.0

    def _left(self, now: float) -> float:
        return self._count * math.exp(-(now - self._last) / self._seconds)


@dataclass(slots=True, eq=False)
class Waiting:
    """A launch in the queue."""

    tenant: str
    size: int
    admit: Callable[[], None]
    """Called when it has got its place."""


class Admission:
    """Decides and counts; starts and ends nothing itself."""

    def __init__(self, settings: AdmissionSettings, now: Callable[[], float]) -> None:
        self.running: Counter[str] = Counter()
        """Places taken, by tenant."""
        self.children: Counter[str] = Counter()
        """Spawned programs among them."""
        self.rejected: Counter[Reason] = Counter()
        self._settings = settings
        self._now = now
        self._queues: OrderedDict[str, dict[Waiting, None]] = OrderedDict()
        """Of the tenants that wait; whose turn is next comes first."""
        self._bytes = 0
        self._ends = Rate()

    @property
    def waiting(self) -> Mapping[str, int]:
        """Launches in the queue, by tenant."""
        return {tenant: len(queue) for tenant, queue in self._queues.items()}

    @property
    def waiting_count(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def full(self) -> bool:
        """No place is free."""
        return self.running.total() >= self._settings.places

    def enter(self, tenant: str, size: int, may_wait: bool, admit: Callable[[], None]) -> Waiting | None:
        """None: a place is taken at once. `size`: bytes that the launch holds while it waits. Raises
        `Overloaded`."""
        if tenant not in self._queues and self._has_place(tenant):
            self.running[tenant] += 1
            return None
        self._check_queue(tenant, size, may_wait)
        waiting = Waiting(tenant, size, admit)
        self._queues.setdefault(tenant, {})[waiting] = None
        self._bytes += size
        return waiting

    def enter_child(self, tenant: str) -> None:
        """A place at once. Raises `Overloaded`, and `LimitExceeded` where its tenant has too many of them."""
        most = self._settings.quotas.get(tenant, UNLIMITED).children
        if self.children[tenant] >= most:
            raise LimitExceeded(
                f"tenant {tenant} has {self.children[tenant]} spawned programs alive of the {most:g} that it "
                "may have (children): wait for some to end"
            )
        if not self._has_place(tenant):
            raise self.refuse("no_place", self._crowd(tenant), tenant, "or wait for programs to end")
        self.running[tenant] += 1
        self.children[tenant] += 1

    def leave(self, tenant: str, is_child: bool = False) -> None:
        """A program has ended: its place goes to whoever waits."""
        self.children[tenant] -= is_child
        self.running[tenant] -= 1
        if not self.running[tenant]:
            del self.running[tenant]
        self._ends.note(self._now())
        self._admit()

    def withdraw(self, waiting: Waiting) -> None:
        """It waits no more."""
        queue = self._queues[waiting.tenant]
        del queue[waiting]
        self._bytes -= waiting.size
        if not queue:
            del self._queues[waiting.tenant]

    def refuse(
        self, reason: Reason, why: str, tenant: str, remedy: str = "", retry_after: float | None = None
    ) -> Overloaded:
        """The error, counted."""
        self.rejected[reason] += 1
        seconds = max(1, math.ceil(self._retry_after(tenant) if retry_after is None else retry_after))
        return Overloaded(f"{why}: try again in {seconds} s" + (f", {remedy}" if remedy else ""), seconds)

    def _admit(self) -> None:
        while not self.full:
            tenant = next(filter(self._has_place, self._queues), None)
            if tenant is None:
                return
            waiting = next(iter(self._queues[tenant]))
            self._queues.move_to_end(tenant)
            self.withdraw(waiting)
            self.running[tenant] += 1
            waiting.admit()

    def _has_place(self, tenant: str) -> bool:
        quota = self._settings.quotas.get(tenant, UNLIMITED).programs
        most = min(quota, self._most(tenant, self._settings.places))
        return not self.full and self.running[tenant] < most

    def _most(self, tenant: str, of: int) -> int:
        settings = self._settings
        return max(min(1, of), int(of * settings.shares.get(tenant, settings.share)))

    def _check_queue(self, tenant: str, size: int, may_wait: bool) -> None:
        settings, count = self._settings, self.waiting_count
        mine = len(self._queues.get(tenant, ()))
        remedy = "or start the server with more (--instances, --launch-queue)"
        if not may_wait or not settings.queue:
            raise self.refuse("no_place", self._crowd(tenant), tenant, remedy)
        if count >= settings.queue:
            why = f"{self._crowd(tenant)}, and {count} launches wait, as many as may"
            raise self.refuse("queue_full", why, tenant, remedy)
        if mine >= self._most(tenant, settings.queue):
            why = f"{mine} launches of tenant {tenant} wait, its share of {settings.queue}"
            raise self.refuse("tenant_share", why, tenant)
        if self._bytes + size > settings.queue_bytes:
            held = f"the launches that wait hold {self._bytes >> 20} MiB of programs and arguments"
            raise self.refuse(
                "queue_bytes", f"{held}, as much as they may", tenant, "or send long data as messages"
            )

    def _crowd(self, tenant: str) -> str:
        if self.full:
            return f"{self.running.total()} programs run, as many as this server takes"
        return f"{self.running[tenant]} programs of tenant {tenant} run, as many as it may"

    def _retry_after(self, tenant: str) -> float:
        """When enough programs will have ended, if they go on ending as they did lately."""
        rate, ahead = self._ends.per_second(self._now()), self.waiting_count
        if not self.full:  # only ends of its own help
            rate *= self.running[tenant] / max(1, self.running.total())
            ahead = len(self._queues.get(tenant, ()))
        return min(LONGEST_SECONDS, (1 + PART * ahead) / rate) if rate > 0 else UNKNOWN_SECONDS
