"""Sandboxes of the runner made ahead of launches, on a thread of their own.

To instantiate the runner, to touch the memory that every program needs and to free it afterwards takes most
of a launch and is the same for every program. With a second core that is time nobody waits for. When there is
no spare, a launch makes its sandbox itself.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

from pie.application import abi
from pie.application.fiber import Fiber
from pie.application.linked import Linked
from pie.application.stage import Stage

log = logging.getLogger(__name__)


def taken(pop: Callable[[], Fiber]) -> Fiber | None:
    """None where the other thread was faster."""
    try:
        return pop()
    except IndexError:
        return None


class Spares:
    """`count` instantiated fibers with a given memory limit; as far as there is time, they have rehearsed."""

    def __init__(self, engine: int, stage: Stage, linked: Linked, memory_bytes: int, count: int) -> None:
        self._engine = engine
        self._stage = stage
        self._linked = linked
        self._memory_bytes = memory_bytes
        self._count = count
        self._ready: deque[Fiber] = deque()
        self._buried: deque[int] = deque()
        self._work = threading.Event()
        self._work.set()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="pie-spares", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Frees all spares and everything that was buried."""
        self._stopped = True
        self._work.set()
        self._thread.join()
        while self._ready:
            self._ready.popleft().close()
        while self._buried:
            abi.store_delete(self._buried.popleft())

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def rehearsed(self) -> int:
        return sum(1 for fiber in tuple(self._ready) if fiber.vacancy is not None)

    def fiber(self, linked: Linked, memory_bytes: int) -> Fiber:
        """A spare if one fits, else a new fiber. The next one is made when a program ends, if that is not too
        late: beside a program that starts, the other thread would only slow it down."""
        found = None
        if linked is self._linked and memory_bytes == self._memory_bytes:
            found = taken(self._ready.popleft)
            if 2 * len(self._ready) < self._count:
                self._work.set()
        return found or Fiber(self._engine, linked, memory_bytes, self.bury)

    def bury(self, store: int) -> None:
        """Frees a store soon."""
        self._buried.append(store)
        self._work.set()

    def _run(self) -> None:
        while not self._stopped:
            self._work.wait()
            self._work.clear()
            while not self._stopped and self._improve():
                pass

    def _improve(self) -> bool:
        """Does what is most wanted; whether there was anything to do. Any sandbox is better than none."""
        if self._buried:
            abi.store_delete(self._buried.popleft())
        elif len(self._ready) < self._count:
            self._make_one()
        else:
            return self._rehearse_one()
        return True

    def _make_one(self) -> None:
        fiber = Fiber(self._engine, self._linked, self._memory_bytes, self.bury)
        if fiber.instantiate():
            self._ready.append(fiber)
        else:
            self._give_up(fiber)

    def _rehearse_one(self) -> bool:
        """Those that have rehearsed stand in front."""
        fiber = taken(self._ready.pop)
        if fiber is None:
            return False
        if fiber.vacancy is not None:
            self._ready.append(fiber)
            return False
        if fiber.rehearse(self._stage):
            self._ready.appendleft(fiber)
        else:
            self._give_up(fiber)
        return True

    def _give_up(self, fiber: Fiber) -> None:
        log.error("launches will be slower: a sandbox could not be made ready: %s", fiber.outcome)
        fiber.close()
        self._count = 0  # the next one would fail as well
