"""When to send a pass. The four policies of the publication; each a pure function of what it is shown."""

import math
from typing import NamedTuple, Protocol

from pie.control.settings import ControlSettings

LEAD = 0.5
"""How long before the end of a pass the next one is sent ahead, as a share of its time."""


class Outlook(NamedTuple):
    """What a policy may look at. Asked only when a queue has work and the driver can take a pass."""

    now: float
    waiting: int
    """Queues with work for the driver."""
    since: float
    """When the first of them began to wait."""
    runnable: int
    """Programs that can run at this moment."""
    awaited: int
    """Queues that got an answer from the last pass and have not asked for more."""
    idle_since: float
    pass_seconds: float
    """Measured, smoothed."""
    in_flight: int = 0
    """Passes that the driver still has to return."""
    absent: bool = False
    """Somebody waits for an answer of the last of them and has nothing queued: it will come back."""
    free_at: float = 0.0
    """When the driver should be through with them."""
    last_seconds: float = 0.0
    """What the last of them should take."""


class PolicyRule(Protocol):
    queues: int | None
    """How many queues one pass may serve; None: all."""
    passes: int
    """How many passes in flight suit it."""

    def send_at(self, outlook: Outlook) -> float:
        """The moment from which on a pass may be sent; one that has passed means now, infinity that something
        must happen first."""
        ...


class Eager:
    """Sends the commands of one queue as soon as there are any."""

    queues: int | None = 1
    passes = 1

    def send_at(self, outlook: Outlook) -> float:
        return outlook.since


class KOnly:
    """Waits for K queues; with fewer programs than K, until the guard time has passed."""

    queues: int | None = None
    passes = 1

    def __init__(self, k: int, guard_seconds: float) -> None:
        self._k = k
        self._guard = guard_seconds

    def send_at(self, outlook: Outlook) -> float:
        return outlook.since if outlook.waiting >= self._k else outlook.since + self._guard


class TOnly:
    """Waits for a fixed time after the first command."""

    queues: int | None = None
    passes = 1

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def send_at(self, outlook: Outlook) -> float:
        return outlook.since + self._seconds


class Adaptive:
    """Waits until nobody is left to wait for: no program can run, or all who got an answer are back.

    Programs that compute for long are waited for no longer than a share of the time of a pass. While the
    driver is busy, the next pass goes ahead only if it leaves out nobody whose answer is under way; and not
    before half of the pass before it is over, so that newcomers find a place in it.
    """

    queues: int | None = None
    passes = 2

    def __init__(self, idle_share: float) -> None:
        self._idle_share = idle_share

    def send_at(self, outlook: Outlook) -> float:
        missing = bool(outlook.runnable and outlook.awaited)
        if outlook.in_flight:
            early = outlook.free_at - LEAD * outlook.last_seconds
            return math.inf if missing or outlook.absent else early
        if not missing:
            return outlook.now
        return outlook.idle_since + self._idle_share * outlook.pass_seconds


def make_policy(settings: ControlSettings) -> PolicyRule:
    match settings.policy:
        case "eager":
            return Eager()
        case "k-only":
            return KOnly(settings.k, settings.k_guard_ms / 1000)
        case "t-only":
            return TOnly(settings.t_ms / 1000)
        case "adaptive":
            return Adaptive(settings.idle_share)
