"""The driver as the host sees it: a process of its own, watched over, restarted when it dies. No torch."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from pie.core.driver import DriverSpec
from pie.core.errors import PieError, WrongState
from pie.core.passes import Pass, PassResult
from pie.core.progress import NoProgress, Progress
from pie.inference.early import EXECUTOR, EarlyProcess
from pie.inference.life import Life
from pie.inference.settings import InferenceSettings
from pie.inference.wire import Fault, WorkerOptions

LONGEST_DELAY_SECONDS = 5.0
log = logging.getLogger(__name__)


class DriverProcess:
    """A `Driver` whose executor lives in a process of its own.

    `executor` ("module:function") and `faults` are for tests. All methods belong to the running loop.
    """

    def __init__(
        self,
        model_folder: Path,
        home: Path,
        settings: InferenceSettings,
        executor: str = EXECUTOR,
        faults: Sequence[Fault] = (),
        early: EarlyProcess | None = None,
    ) -> None:
        """`early`: a process for the first life that has begun already."""
        self._early = early
        self._model_folder = model_folder
        self._home = home
        self._settings = settings
        self._executor = executor
        self._faults = tuple(faults)
        self._spec: DriverSpec | None = None
        self._life: Life | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._restarts: deque[float] = deque()
        self._absence = "it has not been started"
        self._done: Callable[[PassResult], None] = ignore
        self._lost: Callable[[str], None] = ignore
        self._restored: Callable[[], None] = nothing

    @property
    def spec(self) -> DriverSpec:
        if self._spec is None:
            raise WrongState("the driver has not been started")
        return self._spec

    @property
    def pid(self) -> int | None:
        """None while there is no process that could work."""
        return self._life.pid if self._life else None

    @property
    def restarts(self) -> int:
        """Within the last `restart_window_seconds`."""
        return len(self._restarts)

    def attach(
        self,
        done: Callable[[PassResult], None],
        lost: Callable[[str], None],
        restored: Callable[[], None],
    ) -> None:
        self._done, self._lost, self._restored = done, lost, restored

    async def start(self, progress: Progress | None = None) -> None:
        """Returns when the driver is ready. Raises the driver's own `PieError`, or `Unavailable`."""
        if self._supervisor is not None:
            raise WrongState("the driver has been started already")
        self._life = await self._begin_life(self._faults, progress or NoProgress())
        self._supervisor = asyncio.create_task(self._supervise(self._life))

    def submit(self, work: Pass) -> None:
        """Queues a pass; never blocks. Without a process the answer is an error."""
        if self._life is not None:
            self._life.submit(work)
            return
        answer = PassResult(work.number, 0.0, error=f"there is no driver: {self._absence}")
        asyncio.get_running_loop().call_soon(self._done, answer)

    async def close(self) -> None:
        """Idempotent. Ends the process; what is under way is dropped without a word."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        if self._life is not None:
            await self._life.close()
            self._life = None
        self._absence = "it has been closed"

    async def _begin_life(self, faults: tuple[Fault, ...], progress: Progress) -> Life:
        early, self._early = self._early, None
        life = Life(self._settings, progress, lambda result: self._done(result), early)
        try:
            self._spec = await life.start(self._options(faults))
        except BaseException:
            await life.close()
            raise
        return life

    def _options(self, faults: tuple[Fault, ...]) -> WorkerOptions:
        return WorkerOptions(str(self._model_folder), str(self._home), self._settings, self._executor, faults)

    async def _supervise(self, life: Life | None) -> None:
        while life is not None:
            reason = await life.wait_ended()
            self._life, self._absence = None, reason
            log.error("the driver is lost: %s", reason)
            self._lost(reason)
            await life.close()
            self._life = life = await self._begin_again()
            if life is not None:
                self._restored()

    async def _begin_again(self) -> Life | None:
        """None when it has died too often."""
        faults = tuple(fault for fault in self._faults if fault.every_life)
        while self._may_restart():
            await asyncio.sleep(self._delay())
            try:
                return await self._begin_life(faults, NoProgress())
            except PieError as error:
                self._absence = str(error)
                log.error("the driver could not be restarted: %s", error)
        self._absence = f"it died {len(self._restarts) + 1} times; the last time: {self._absence}"
        log.error("the driver is given up: %s", self._absence)
        return None

    def _may_restart(self) -> bool:
        now = time.monotonic()
        while self._restarts and self._restarts[0] < now - self._settings.restart_window_seconds:
            self._restarts.popleft()
        if len(self._restarts) >= self._settings.restarts:
            return False
        self._restarts.append(now)
        return True

    def _delay(self) -> float:
        doubled = self._settings.restart_delay_seconds * 2.0 ** (len(self._restarts) - 1)
        return min(doubled, LONGEST_DELAY_SECONDS)


def ignore(_: object) -> None:
    """Stands in until somebody attaches."""


def nothing() -> None:
    """Stands in until somebody attaches."""
