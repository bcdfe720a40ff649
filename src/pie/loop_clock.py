"""Real time, for whoever decides when: the clock of the control layer on a running event loop."""

import asyncio
import time
from collections.abc import Callable

from pie.core.clock import Handle


class LoopClock:
    """A `core.clock.Clock`. `now` does not use the loop's own, coarser time."""

    now = staticmethod(time.monotonic)

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        delay = max(0.0, when - time.monotonic())
        return asyncio.get_running_loop().call_later(delay, callback)
