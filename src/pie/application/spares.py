"""Sandboxes of the runner made ahead of launches, on a thread of their own.

To instantiate the runner takes about a third of a launch, is the same for every program, and calls nothing
of ours; to free its memory afterwards likewise. With a second core that is time nobody waits for. A spare
has run no code yet, so it takes little memory; when there is none, a launch makes its sandbox itself.
"""

import threading
from collections import deque

from pie.application import abi
from pie.application.fiber import Fiber
from pie.application.linked import Linked


class Spares:
    """`count` instantiated fibers with a given memory limit, kept ready."""

    def __init__(self, engine: int, linked: Linked, memory_bytes: int, count: int) -> None:
        self._engine = engine
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
        self._delete_buried()

    def __len__(self) -> int:
        return len(self._ready)

    def fiber(self, linked: Linked, memory_bytes: int) -> Fiber:
        """A spare if one fits, else a new fiber."""
        if self._ready and linked is self._linked and memory_bytes == self._memory_bytes:
            self._work.set()
            return self._ready.popleft()
        return Fiber(self._engine, linked, memory_bytes, self.bury)

    def bury(self, store: int) -> None:
        """Frees a store soon."""
        self._buried.append(store)
        self._work.set()

    def _run(self) -> None:
        while not self._stopped:
            self._work.wait()
            self._work.clear()
            self._delete_buried()
            while len(self._ready) < self._count and not self._stopped:
                if not self._make_one():
                    break
                self._delete_buried()

    def _make_one(self) -> bool:
        fiber = Fiber(self._engine, self._linked, self._memory_bytes, self.bury)
        if fiber.instantiate():
            self._ready.append(fiber)
            return True
        fiber.close()
        return False

    def _delete_buried(self) -> None:
        while self._buried:
            abi.store_delete(self._buried.popleft())
