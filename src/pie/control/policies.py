"""When to send a pass. The four policies of the publication; each a pure function of what it is shown."""

import math
from typing import NamedTuple, Protocol

from pie.control.settings import ControlSettings

LEAD = 0.5
"""How long before the end of a pass the next one is sent ahead, as a share of its time: newcomers find a
place in it until then."""
LONG_LEAD = 0.1, 0.005
"""The same for long passes, a share and seconds: what is sent early leaves out newcomers, who then wait for a
pass more, and the others with them."""
SHORT_LEAD = 0.1
"""The same while programs are still coming back."""


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
    absent: int = 0
    """Queues that wait for an answer of the last of them and have nothing queued: they will come back."""
    free_at: float = 0.0
    """When the driver should be through with them."""
    last_seconds: float = 0.0
    """What the last of them should take."""
    came_back: int = 0
    """Programs that got an answer and have asked for more since the last pass was sent."""
    comeback_seconds: float = 0.0
    """Measured: how long each program that got an answer keeps the host busy until it asks for more."""
    fixed_seconds: float | None = None
    """What a pass takes beside what each token adds, as far as that is known."""


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
    """Waits for programs that are to come back as long as that is cheaper than a pass of their own.

    One pass for all saves the fixed part of a second one, and costs the time in which all programs that ask
    for each token come back, one after the other, while the device idles. When nobody is left to wait for,
    or waiting does not pay, a pass is sent at once, and even ahead while the driver is busy: programs then
    fall into two groups, one of which runs here while the other is with the driver. Programs that do other
    things first are not waited for: the device idles for twice the time that all should need at most, or for
    a share of the time of a pass.
    """

    queues: int | None = None
    passes = 2

    def __init__(self, idle_share: float) -> None:
        self._idle_share = idle_share

    def send_at(self, outlook: Outlook) -> float:
        coming = outlook.awaited if outlook.runnable else 0
        missing = coming + outlook.absent
        short = self._idle_share * outlook.pass_seconds
        gain = short if outlook.fixed_seconds is None else outlook.fixed_seconds
        cost = (missing + outlook.came_back) * outlook.comeback_seconds
        patient = missing > 0 and cost <= gain
        if outlook.in_flight:
            return math.inf if patient else outlook.free_at - lead(outlook.last_seconds, coming > 0)
        return outlook.idle_since + max(short, min(gain, 2 * cost)) if patient else outlook.now


def lead(seconds: float, coming: bool) -> float:
    """How long before the end of a pass of so many seconds the next one is sent."""
    if coming:
        return SHORT_LEAD * seconds
    share, least = LONG_LEAD
    return min(LEAD * seconds, share * seconds + least)


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
