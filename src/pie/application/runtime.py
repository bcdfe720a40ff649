"""Who runs next: guests that were waiting, then launches, then guests that compute.

One turn of the runtime is one callback of the event loop. It runs every guest that got what it waited for
(bounded in time) and starts new ones; if there were none, one computing guest runs for a slice, so that what
the others have sent is on its way by then. In the end the control layer is told that nobody has anything more
to ask.

Where the driver needs all cores, whoever computes here takes them from it: each slice is then followed by a
rest, as long as the driver works. Without it four guests that compute doubled the time between tokens of
sixteen that decode (`benchmarks/neighbours.py`).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from pie.application.guest import Guest
from pie.application.stage import Stage
from pie.application.ticker import Ticker
from pie.core.errors import InternalError

PATIENCE = 8
"""Turns after which a computing guest gets a slice even though others have more to do than can be done."""
TURN_SECONDS = 0.005
"""After this the event loop gets its turn, whoever still wants to run."""


class Runtime:
    """The run queue. `pump` is the control layer's. A guest that must not run again is `settled`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stage: Stage,
        ticker: Ticker,
        pump: Callable[[], None],
        driver_works: Callable[[], bool],
        compute_share: float = 1.0,
    ) -> None:
        """`compute_share`: of this thread's time, for guests that compute while `driver_works`."""
        self.turns = 0
        self.polls = 0
        self.yields = 0
        """Polls that ended because a guest had used up its slice."""
        self._loop = loop
        self._stage = stage
        self._ticker = ticker
        self._pump = pump
        self._driver_works = driver_works
        self._rest = 1.0 / compute_share - 1.0
        """After a slice, in slices."""
        self._resting: asyncio.TimerHandle | None = None
        self._woken: deque[Guest] = deque()
        self._starting: deque[Guest] = deque()
        self._computing: deque[Guest] = deque()
        self._planned = False

    def runnable(self) -> int:
        """Guests that may ask for something soon; those that only compute do not count."""
        return len(self._woken) + len(self._starting)

    def computes(self, guest: Guest) -> bool:
        """Whether it used up its last slice and wants to go on."""
        return guest in self._computing

    def start(self, guest: Guest) -> None:
        self._put(self._starting, guest)

    def wake(self, guest: Guest) -> None:
        self._put(self._woken, guest)

    def _put(self, queue: deque[Guest], guest: Guest) -> None:
        if not guest.queued:
            guest.queued = True
            queue.append(guest)
            self._plan()

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._planned = False
        self.turns += 1
        self._ticker.resume()
        try:
            self._run_everybody(time.perf_counter() + TURN_SECONDS)
            self._pump()
        finally:
            self._ticker.pause()
            if self._woken or self._starting or (self._computing and self._resting is None):
                self._plan()

    def _run_everybody(self, until: float) -> None:
        others = bool(self._woken or self._starting)
        self._run_all(self._woken, until)
        self._run_all(self._starting, until)
        if self._computing and self._resting is None and (not others or self.turns % PATIENCE == 0):
            self._compute(self._computing.popleft())

    def _compute(self, guest: Guest) -> None:
        began = time.perf_counter()
        self._run(guest)
        if self._rest > 0 and self._driver_works():
            seconds = self._rest * (time.perf_counter() - began)
            self._resting = self._loop.call_later(seconds, self._rested)

    def _rested(self) -> None:
        self._resting = None
        if self._computing:
            self._plan()

    def _run_all(self, queue: deque[Guest], until: float) -> None:
        while queue:
            self._run(queue.popleft())
            if time.perf_counter() > until:
                return

    def _run(self, guest: Guest) -> None:
        guest.queued = False
        if guest.closed:
            return
        try:
            done = self._poll(guest)
        except Exception as fault:
            logging.getLogger(__name__).exception("polling instance %s failed", guest.id)
            guest.doom(InternalError(f"the server failed to run the program: {fault}"))
            done = True
        if done or guest.doomed is not None:
            guest.settle()
        elif guest.asleep:
            if guest.on_sleep:
                guest.fell_asleep()
        else:
            self.yields += 1
            self._put(self._computing, guest)

    def _poll(self, guest: Guest) -> bool:
        fiber = guest.fiber or guest.enter()
        self._stage.guest, self._stage.context = guest, fiber.context
        trace = guest.trace
        if trace is not None:
            trace.runs()
        began = time.thread_time()
        try:
            done = fiber.poll()
        finally:
            guest.spent(time.thread_time() - began)
            if trace is not None:
                trace.rests()
        self.polls += 1
        if guest.interruption is not None:
            raise guest.interruption
        return done
