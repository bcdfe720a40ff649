"""One model: its driver, memory, queues and planner, joined. The only place where passes leave and return."""

import logging
from collections.abc import Callable
from typing import Any

from pie.control.account import Account
from pie.control.addresses import AddressSpace
from pie.control.checks import Checks
from pie.control.dispatch import Dispatcher
from pie.control.exports import Exports
from pie.control.memory import Memory
from pie.control.mistakes import mistake
from pie.control.planner import Planner
from pie.control.pool import Pool
from pie.control.queue import CommandQueue
from pie.control.settings import ControlSettings
from pie.control.statistics import ModelStatistics, PoolStatistics
from pie.control.ticket import Ticket
from pie.control.work import DecodeWork
from pie.core.clock import Clock, Handle
from pie.core.commands import Completion
from pie.core.driver import Driver
from pie.core.errors import Cancelled, InternalError, PieError, Unavailable
from pie.core.ids import QueueId
from pie.core.model import ModelInfo
from pie.core.passes import PassResult
from pie.core.tokenizer import Tokenizer

_log = logging.getLogger(__name__)


class Lane:
    """Everything of one model. Not reentrant: what completions do while a pump runs is seen by that pump."""

    def __init__(
        self,
        info: ModelInfo,
        driver: Driver,
        tokenizer: Tokenizer,
        settings: ControlSettings,
        clock: Clock,
        guests_runnable: Callable[[], int],
    ) -> None:
        spec = driver.spec
        if spec.page_size != info.page_size:
            raise InternalError(
                f"{info.name} was announced with pages of {info.page_size} tokens, "
                f"its driver has {spec.page_size}"
            )
        self.info = info
        self.adapters = spec.adapters
        self.tokenizer = tokenizer
        self.down = ""
        """Why the driver cannot take passes; empty while it can."""
        self.memory = Memory(spec)
        self.planner = Planner(self.memory, settings, spec)
        self.exports = Exports(self.memory, settings, spec, clock)
        self.checks = Checks(spec, settings, self.exports)
        self._dispatcher = Dispatcher(self.planner, self.memory)
        self._queues: dict[CommandQueue, None] = {}
        self._driver = driver
        self._clock = clock
        self._guests_runnable = guests_runnable
        self._pumping = False
        self._timer: Handle | None = None
        self._timer_at = 0.0
        driver.attach(self._done, self._lost, self._restored)

    def open_queue(self, name: QueueId, space: AddressSpace, account: Account) -> CommandQueue:
        queue = CommandQueue(name, space, account)
        self._queues[queue] = None
        space.queues.append(queue)
        return queue

    def reset_queue(self, queue: CommandQueue) -> None:
        """Forgets what waits and the queue's error; what is in flight still answers."""
        queue.error = None
        queue.epoch += 1
        error = Cancelled(f"queue {queue.name} was reset before this command was executed")
        self.planner.drop(queue, error, self._clock.now())
        self.memory.settle()

    def stop_run(self, queue: CommandQueue, listener: Completion) -> None:
        """Nothing more of that run is sent, and nothing is told."""
        for work in queue.work:
            if isinstance(work, DecodeWork) and work.completion is listener:
                work.over = True
        self.planner.stir(queue)

    def close_queue(self, queue: CommandQueue) -> None:
        """Nothing of this queue is answered any more."""
        queue.closed = True
        self.planner.drop(queue, Cancelled("the program has ended"), self._clock.now())
        queue.space.queues.remove(queue)
        del self._queues[queue]

    def close_space(self, space: AddressSpace) -> None:
        self.exports.of(space.tenant).close_space(space)
        self.planner.pressure.close(space)
        self.memory.close_space(space, self._clock.now())
        self.memory.settle()

    def pump(self) -> None:
        """Delivers answers, then sends passes while there is something to send."""
        if self._pumping or self.planner.at_rest:
            return
        self._pumping = True
        try:
            self._pump()
        finally:
            self._pumping = False

    def commands_in_flight(self, queue: CommandQueue) -> int:
        entries = (entry for ticket in self.planner.in_flight for entry in ticket.entries)
        return sum(entry.commands for entry in entries if entry.queue is queue)

    def statistics(self) -> ModelStatistics:
        traffic = self._dispatcher.traffic
        return ModelStatistics(
            pages=_statistics(self.memory.pages, self.memory.host.held, self.memory.pages_on_disk),
            embs=_statistics(self.memory.embs),
            slots=_statistics(self.memory.slots),
            matchers=_statistics(self.memory.matchers),
            queues=len(self._queues),
            queued_commands=sum(len(queue.work) for queue in self._queues),
            passes_in_flight=len(self.planner.in_flight),
            suspended=len(self.planner.pressure.asleep) + len(self.planner.pressure.starved),
            suspensions=self.planner.pressure.suspensions,
            notices=self.planner.pressure.notices.told,
            passes=traffic.passes,
            failed_passes=traffic.failed_passes,
            tokens=traffic.tokens,
            dists=traffic.dists,
            samples=traffic.samples,
            driver_seconds=traffic.driver_seconds,
            pass_seconds=self.planner.pace.seconds,
            batch_sizes=dict(traffic.batch_sizes),
            down=self.down,
        )

    def _pump(self) -> None:
        planner = self.planner
        step: float | None = None
        while not planner.at_rest:
            self._deliver()
            if self.down:
                break
            answer = self._plan()
            if isinstance(answer, Ticket):
                self._send(answer)
            elif not planner.outcomes:
                step = answer
                break
        self._wake_at(step)

    def _plan(self) -> Ticket | float | None:
        now = self._clock.now()
        try:
            return self.planner.plan(now, self._guests_runnable())
        except Exception as error:
            self._fail_all(mistake(f"planning for {self.info.name}", error))
            return None

    def _fail_all(self, error: PieError) -> None:
        """The passes in flight, and every queue."""
        now = self._clock.now()
        self._dispatcher.fail(error, now)
        for queue in self._queues:
            self.planner.poison(queue, error, now)

    def _send(self, ticket: Ticket) -> None:
        try:
            self._driver.submit(ticket.work)
        except Exception as error:  # a driver that breaks its promise must not stop the others
            _log.exception("the driver of %s did not take pass %d", self.info.name, ticket.work.number)
            failure = InternalError(f"the driver did not take the pass: {error}")
            self._dispatcher.fail(failure, self._clock.now())

    def _wake_at(self, when: float | None) -> None:
        if self._timer is not None:
            if when == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer_at = when
            self._timer = self._clock.call_at(when, self._timer_rings)

    def _timer_rings(self) -> None:
        self._timer = None
        self.pump()

    def _done(self, result: PassResult) -> None:
        now = self._clock.now()
        try:
            self._dispatcher.finish(result, now)
        except Exception as error:
            self._dispatcher.fail(mistake(f"taking the results of pass {result.number}", error), now)
        self.pump()

    def _lost(self, reason: str) -> None:
        """Passes and contents are gone: every queue fails, every lease that held memory is marked."""
        now = self._clock.now()
        self.down = f"the driver of {self.info.name} stopped ({reason})"
        error = Unavailable(f"{self.down}; its pages are lost. It restarts: reset the queue and recompute")
        self._fail_all(error)
        self.memory.lose_all(now)
        self.memory.settle()
        self.pump()

    def _restored(self) -> None:
        self.down = ""
        self.planner.driver_free(self._clock.now())
        self.pump()

    def _deliver(self) -> None:
        outcomes = self.planner.outcomes
        while outcomes:
            outcome = outcomes.popleft()
            try:
                outcome.deliver()
            except Exception:  # one program's completion must not keep the others from theirs
                _log.exception("a completion of queue %s raised", outcome.queue.name)


def _statistics(pool: Pool[Any], swapped: int = 0, on_disk: int = 0) -> PoolStatistics:
    return PoolStatistics(pool.total, len(pool.free), pool.held, swapped, on_disk)
