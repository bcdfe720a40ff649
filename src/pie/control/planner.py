"""What to send next: a function of the queues and of `now`. No clock, no loop, no callbacks.

`plan` answers a ticket (a pass to send), a moment to ask again, or None: nothing until something happens.
Frees, forks and synchronizations need no driver: `run_errands` executes those at the head of a queue.
What has to be told to programs is collected in `outcomes`, for the caller to deliver.
"""

import math
from collections import Counter, deque

from pie.control.batch import Batch
from pie.control.desk import Desk, Turn
from pie.control.errands import ERRANDS
from pie.control.memory import Memory
from pie.control.mistakes import mistake
from pie.control.notices import Notices
from pie.control.outcomes import AnyOutcome, Outcome
from pie.control.pace import Comebacks, Pace
from pie.control.placing import PLACERS
from pie.control.policies import Outlook, make_policy
from pie.control.pressure import Pressure
from pie.control.queue import CommandQueue
from pie.control.riders import find_riders, inputs_of
from pie.control.settings import ControlSettings
from pie.control.sharing import Sharing
from pie.control.ticket import Entry, Ticket
from pie.control.trace import note_pass
from pie.control.work import Asking, Bookkeeping, DecodeWork, ExportWork, FreeWork, Work
from pie.core.driver import DriverSpec
from pie.core.errors import PieError


class Planner:
    """All queues of one model."""

    def __init__(self, memory: Memory, settings: ControlSettings, spec: DriverSpec) -> None:
        self.in_flight: deque[Ticket] = deque()
        """Oldest first."""
        self.outcomes: deque[AnyOutcome] = deque()
        self.waiting: dict[CommandQueue, None] = {}
        """Queues whose first command is for the driver; who waits longest comes first."""
        self.pressure = Pressure(
            memory, settings, self.in_flight, self._put_to_sleep, Notices(settings, self.outcomes)
        )
        self.pace = Pace()
        self._comebacks = Comebacks()
        self._errands: list[CommandQueue] = []
        self._awaited: set[CommandQueue] = set()
        """Their programs got an answer from the last pass and have not asked for more."""
        self._came_back = 0
        """How many of them have, since the last pass was sent."""
        self._memory = memory
        self._spec = spec
        self._desk = Desk(memory, self.outcomes, self.in_flight)
        self._sharing = Sharing(settings.weights)
        self.adopt(settings)
        self._number = 0
        self._idle_since = 0.0
        self._busy_since = 0.0
        """When the driver began with the oldest pass in flight."""

    @property
    def at_rest(self) -> bool:
        """Nothing to send, to execute or to deliver."""
        pressure = self.pressure
        return not (
            self.waiting or self.outcomes or self._errands or pressure.starved or pressure.asleep
            or pressure.wishes.due
        )  # fmt: skip

    def adopt(self, settings: ControlSettings) -> None:
        """From the next pass on: another policy, other sizes of a pass."""
        self._settings = settings
        self._policy = make_policy(settings)
        self._sharing.weights = settings.weights
        self._most_passes = settings.passes_in_flight or self._policy.passes

    def begin(self, queue: CommandQueue, work: Work, now: float) -> None:
        """The first command of a queue in which nothing waits. More are appended to the queue itself."""
        queue.work.append(work)
        if queue in self._awaited:
            self._comebacks.back(now)
            self._came_back += 1
        self._line_up(queue, now)

    def plan(self, now: float, runnable: int) -> Ticket | float | None:
        """A pass to send, the moment to ask again, or None. `runnable`: programs that can run just now."""
        if self._errands:
            self.run_errands(now)
        if len(self.in_flight) >= self._most_passes:
            return None
        pressure = self.pressure
        if pressure.starved or pressure.asleep or pressure.wishes.due:
            return self._plan_under_pressure(now)
        if not self.waiting:
            return None
        when = self._policy.send_at(self._outlook(now, runnable))
        if when > now:
            return when if when < math.inf else None
        ticket = self._build(now)
        # Whoever starved just now must be looked at again, also if nothing else happens.
        return self._plan_under_pressure(now) if ticket is None and pressure.starved else ticket

    def _plan_under_pressure(self, now: float) -> Ticket | float | None:
        """Nobody is waited for: who comes next is likely to need what is not there."""
        for queue in self.pressure.fed(now):
            self._enlist(queue, now)
        ticket = self._build(now)
        if ticket is None or not ticket.entries:
            for queue in self.pressure.hopeless(now):
                self.poison(queue, self.pressure.too_little(), now)
        if ticket is not None or self.in_flight:
            return ticket
        return now + self.pressure.retry_seconds

    def run_errands(self, now: float) -> None:
        """Executes what stands at the head of queues and needs no driver."""
        errands, self._errands = self._errands, []
        for queue in errands:
            if queue.work and queue not in self.waiting:
                self._run_head(queue, now)
        self._memory.settle()

    def returned(self, ticket: Ticket, seconds: float, now: float) -> None:
        """The oldest pass has come back: who got an answer is waited for."""
        self.pace.note(ticket.work, seconds)
        self._comebacks.answered(now)
        note_pass(ticket, self._busy_since, now)
        self._busy_since = now
        self._awaited.update(
            entry.queue for entry in ticket.entries if not (entry.queue.work or entry.queue.closed)
        )
        self.driver_free(now)

    def arrived(self, ticket: Ticket, now: float) -> None:
        """Pages are back from disk, or lost: their programs go on, or hear of it."""
        for space in ticket.arrivals:
            if space in self._memory.spaces:
                for queue in self.pressure.wake(space, now):
                    self._line_up(queue, now)

    def driver_free(self, now: float) -> None:
        self._idle_since = now

    def stir(self, queue: CommandQueue) -> None:
        """A run at the head of the queue has ended: what comes next may need no driver."""
        if queue in self.waiting and _has_ended(queue.work[0]):
            del self.waiting[queue]
            self._errands.append(queue)

    def poison(self, queue: CommandQueue, error: PieError, now: float) -> None:
        """The queue fails with its first error, and with it what waits in it."""
        if queue.error is None:
            queue.error = error.with_traceback(None)
        self.drop(queue, queue.error, now)

    def drop(self, queue: CommandQueue, error: PieError, now: float) -> None:
        """Throws away what waits; what it would have freed is freed."""
        for work in queue.take_all():
            if isinstance(work, FreeWork):
                self._memory.free(queue.space, work.kind, work.leases, now)
            elif isinstance(work, ExportWork):
                work.export.home.withdraw(work.export)
            elif isinstance(work, DecodeWork):
                self._end_run(queue, work, error, now)
            elif isinstance(work, Asking) and work.completion is not None:
                self.outcomes.append(Outcome(queue, work.completion, None, error))
        self.waiting.pop(queue, None)
        self.pressure.forget(queue)
        self._awaited.discard(queue)

    def fail_run(self, queue: CommandQueue, run: DecodeWork, error: PieError) -> None:
        if not run.over:
            run.over = True
            self.outcomes.append(Outcome(queue, run.completion, None, error))

    def _end_run(self, queue: CommandQueue, run: DecodeWork, error: PieError, now: float) -> None:
        self.fail_run(queue, run, error)
        self._memory.free(queue.space, "slots", (run.slot,), now)

    def _line_up(self, queue: CommandQueue, now: float) -> None:
        """By its first command. The queue of a suspended program sleeps, unless it gives something back."""
        if not queue.work:
            return
        if _sleeps(queue):
            self._awaited.discard(queue)
            self.pressure.asleep.setdefault(queue, now)
        elif isinstance(queue.work[0], Bookkeeping):
            self._errands.append(queue)
        else:
            self._enlist(queue, now)

    def _enlist(self, queue: CommandQueue, now: float) -> None:
        queue.since = now
        self.waiting.pop(queue, None)
        self.waiting[queue] = None
        self._awaited.discard(queue)

    def _outlook(self, now: float, runnable: int) -> Outlook:
        last = self.in_flight[-1] if self.in_flight else None
        absent = 0
        if last is not None:
            absent = sum(
                not (queue in self.waiting or queue.closed or queue.space.suspended)
                for queue in set(last.asks())
            )
        return Outlook(
            now,
            len(self.waiting),
            next(iter(self.waiting)).since,
            runnable,
            len(self._awaited),
            self._idle_since,
            self.pace.seconds,
            len(self.in_flight),
            absent,
            self._busy_since + sum(ticket.seconds for ticket in self.in_flight),
            last.seconds if last is not None else 0.0,
            self._came_back,
            self._comebacks.seconds,
            self.pace.fixed(),
        )

    def _build(self, now: float) -> Ticket | None:
        """A batch stays empty only when it has freed or poisoned something, so this ends."""
        pressure = self.pressure
        while self.waiting or pressure.asleep or pressure.wishes.due:
            number = self._number + 1
            batch = Batch(self._memory, self.pressure, self._settings, self._spec, PLACERS, number, now)
            pressure.send_away(batch)
            self._fill(batch, now)
            woken = pressure.bring_back(batch) if pressure.asleep or pressure.wishes.back else []
            self._memory.settle()
            for queue in woken:
                self._line_up(queue, now)
            if len(batch) or batch.swaps:
                return self._send(batch)
            if not (self.waiting or woken):
                return None
        return None

    def _fill(self, batch: Batch, now: float) -> None:
        most, patience = self._policy.queues, self._settings.patience
        order = self._sharing.order(self.waiting, patience)
        riders = find_riders(self.waiting, patience)
        batch.tenants = self._sharing.tenants
        if batch.tenants > 1:
            batch.most_inputs = min(batch.most_inputs, self._most_inputs())
        for queue in order:
            if len(batch) == most:
                break
            if queue.space.suspended or not (riders is None or riders.may_join(queue)):
                continue
            entry = Entry(queue, queue.epoch, since=queue.since)
            self._take_prefix(batch, entry, now)
            self._sharing.charge(entry)
            if riders is not None and entry.joined:
                riders.joined(queue)
            if not queue.work or queue in self.pressure.starved:
                self.waiting.pop(queue, None)
            elif entry.joined:
                self._enlist(queue, now)

    def _most_inputs(self) -> int:
        """Of a pass, where several tenants want something, or have it in flight and will be back."""
        wanted, there = Counter[str](), Counter[str]()
        for queue in self.waiting:
            wanted[queue.space.tenant] += inputs_of(queue)
        for ticket in self.in_flight:
            for entry in ticket.entries:
                there[entry.queue.space.tenant] += entry.tokens
        wanted |= there
        most = self._settings.max_batch_tokens
        if len(wanted) < 2 or self.pace.fixed() is None:
            return most
        return max(1, self._sharing.most_inputs(wanted, most, self.pace.expected_of))

    def _put_to_sleep(self, queue: CommandQueue) -> None:
        """Its program is suspended."""
        self.waiting.pop(queue, None)
        self._awaited.discard(queue)

    def _send(self, batch: Batch) -> Ticket:
        self._number += 1
        for queue in self.waiting:
            queue.skipped += 1
        self._sharing.sent(self.waiting)
        ticket = batch.finish()
        ticket.seconds = self.pace.expected(ticket.work)
        ticket.sent = batch.now
        if not self.in_flight:
            self._busy_since = batch.now
        if ticket.entries:
            self.pressure.last_pass = batch.now
        for entry in ticket.entries:
            entry.queue.last_pass = self._number
            entry.queue.skipped = 0
        self._awaited.clear()
        self._came_back = 0
        self.in_flight.append(ticket)
        return ticket

    def _take_prefix(self, batch: Batch, entry: Entry, now: float) -> None:
        queue = entry.queue
        work = queue.work
        try:
            while work:
                first = work[0]
                if isinstance(first, Bookkeeping):
                    self._execute(Turn(queue, now, batch, entry.joined), first)
                elif not batch.place(entry, first):
                    break
                work.popleft()
        except Exception as error:
            self.poison(queue, _own_error(error, queue), now)

    def _run_head(self, queue: CommandQueue, now: float) -> None:
        work = queue.work
        try:
            while work:
                first = work[0]
                if _sleeps(queue):
                    self._line_up(queue, now)
                    break
                if isinstance(first, DecodeWork) and first.over:
                    self._memory.free(queue.space, "slots", (first.slot,), now)
                    queue.account.settle(1, first.size)
                elif isinstance(first, Bookkeeping):
                    self._execute(Turn(queue, now, None, False), first)
                else:
                    self._enlist(queue, now)
                    break
                work.popleft()
        except Exception as error:
            self.poison(queue, _own_error(error, queue), now)

    def _execute(self, turn: Turn, work: Bookkeeping) -> None:
        ERRANDS[type(work)](self._desk, turn, work)
        turn.queue.account.settle(1, work.size)


def _own_error(error: Exception, queue: CommandQueue) -> PieError:
    if isinstance(error, PieError):
        return error
    command = type(queue.work[0]).__name__ if queue.work else "a command"
    return mistake(f"planning {command} of queue {queue.name}", error)


def _sleeps(queue: CommandQueue) -> bool:
    return queue.space.suspended and not isinstance(queue.work[0], FreeWork)


def _has_ended(work: Work) -> bool:
    return isinstance(work, DecodeWork) and work.over
