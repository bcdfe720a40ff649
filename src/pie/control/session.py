"""What one inferlet has in the control layer: queues, names, memory. All of it goes back on `close`."""

from collections.abc import Callable, Iterable, Sequence

from pie.control.account import Account
from pie.control.addresses import AddressSpace, Allowance
from pie.control.budget import Budget, most_of
from pie.control.exports import TenantExports
from pie.control.hints import Hint, HintAnswer, answer_hint
from pie.control.lane import Lane
from pie.control.queue import CommandQueue
from pie.control.settings import ControlSettings
from pie.control.statistics import Glance, SessionUsage
from pie.control.tenants import Tenant
from pie.control.trace import Trace
from pie.control.work import Asking
from pie.core.clock import Clock
from pie.core.commands import (
    Command,
    Completion,
    FreeEmbs,
    FreeMatchers,
    FreePages,
    FreeSlots,
    Listener,
    Synchronize,
)
from pie.core.errors import LimitExceeded, PieError, QueueFailed, Unavailable, UnknownId, WrongState
from pie.core.ids import InstanceId, QueueId, VirtualPage
from pie.core.model import ModelInfo
from pie.core.programs import Limits

GivingBack = FreePages | FreeEmbs | FreeSlots | FreeMatchers

REMEDY = "do with less, or launch it with more"


class Session:
    """Made by `Control.open`. Errors of a call are raised by it, and then nothing was queued."""

    def __init__(
        self,
        instance: InstanceId,
        limits: Limits,
        settings: ControlSettings,
        clock: Clock,
        find_lane: Callable[[str], Lane],
        all_lanes: Callable[[], Iterable[Lane]],
        closed: Callable[[InstanceId], None],
        tenant: Tenant,
        parent: "Session | None" = None,
    ) -> None:
        """`parent`: of the program that spawned it, which pays for it too."""
        self.instance = instance
        self._limit = limits.calls_in_flight
        self._settings = settings
        self._clock = clock
        self._find_lane = find_lane
        self._all_lanes = all_lanes
        self._on_close = closed
        self._tenant = tenant.name
        self.tenant = tenant
        self.pages = Allowance(limits.pages, above=tenant.pages)
        """What a program lends to those that it spawns is taken off `most`."""
        most = settings.trace_events
        self.trace = Trace(instance, clock.now, most) if most else None
        """What the program did, for its timeline."""
        above = tenant.budget if parent is None else parent.budget
        self.budget: Budget = Budget("this program", most_of(limits), REMEDY, above)
        self._account = Account(budget=self.budget, trace=self.trace)
        self._page_seconds = 0.0
        """That have been charged."""
        self._open = True
        self._queues: dict[QueueId, tuple[CommandQueue, Lane]] = {}
        self._spaces: dict[Lane, AddressSpace] = {}

    def create_queue(self, model: str) -> QueueId:
        """Raises `NotFound` for an unknown model, `LimitExceeded` for too many queues."""
        if not self._open:
            raise WrongState(f"{self.instance} has ended")
        if len(self._queues) >= self._settings.max_queues:
            raise LimitExceeded(f"this program has {len(self._queues)} queues already: use those")
        lane = self._find_lane(model)
        name = QueueId(len(self._queues))
        if self.trace is not None:
            self.trace.queues.append(model)
        self._queues[name] = lane.open_queue(name, self._space(lane), self._account), lane
        return name

    def model_of(self, queue: QueueId) -> ModelInfo:
        """The model that executes a queue's commands."""
        return self._find(queue)[1].info

    def set_priority(self, queue: QueueId, priority: int) -> None:
        """Higher goes first."""
        self._find(queue)[0].priority = priority

    def submit(self, queue: QueueId, command: Command, completion: Completion | None = None) -> None:
        """Checks `command` and queues it. `NextDist` completes with a `Dist`, everything else with None.

        Names are given and taken by this call; contents follow in queue order. The command's lists are
        kept, so don't change them. A completion is called once, or never if the session closes before.

        Raises `UnknownId`, `InvalidArgument`, `LimitExceeded`; `QueueFailed` for a poisoned queue and
        `Unavailable` while the model has no driver (giving back needs none).
        """
        try:
            found, lane = self._queues[queue]
        except KeyError:
            raise _no_queue(queue) from None
        account = self._account
        if account.over and not isinstance(command, GivingBack):
            self._check_budget()
        if found.error is not None or (lane.down and not isinstance(command, GivingBack)):
            raise _refusal(found, lane)
        if account.commands >= self._limit or account.numbers > self._settings.max_queued_numbers:
            raise self._too_much()
        work = lane.checks.check(found.space, command, completion)
        if work is not None:
            account.commands += 1
            account.numbers += work.size
            if found.work:
                found.work.append(work)
            else:
                lane.planner.begin(found, work, self._clock.now())
        if completion is not None and not isinstance(work, Asking):
            self.submit(queue, Synchronize(), completion)

    def exports(self, model: str) -> TenantExports:
        """The names under which the programs of its tenant have published pages of a model."""
        return self._find_lane(model).exports.of(self._tenant)

    def adapters(self, model: str) -> Sequence[str]:
        """Names of the LoRA adapters that a model's driver has loaded."""
        return self._find_lane(model).adapters

    def hint(self, queue: QueueId, hint: Hint, pages: Sequence[VirtualPage], ttl_ms: int = 0) -> HintAnswer:
        """What becomes of a wish about where pages lie. Raises `UnknownId` and what poisoned the queue."""
        found, lane = self._find(queue)
        if found.error is not None or lane.down:
            raise _refusal(found, lane)
        return answer_hint(
            found.space, self._settings, lane.planner.pressure, hint, pages, ttl_ms, self._clock.now()
        )

    def on_pressure(self, queue: QueueId, completion: Completion) -> None:
        """Resolved with a number of pages when those of the queue's model run short and others need so many
        more; the program has some, then, and a moment to give them back before it is suspended."""
        found, lane = self._find(queue)
        lane.planner.pressure.notices.listen(found, completion)

    def ignore_pressure(self, queue: QueueId, completion: Completion) -> None:
        """It need not be told any more."""
        found, lane = self._find(queue)
        lane.planner.pressure.notices.ignore(found.space, completion)

    def stop(self, queue: QueueId, listener: Listener) -> None:
        """Ends a run of decoding early; what is in flight of it is not told."""
        found, lane = self._find(queue)
        lane.stop_run(found, listener)

    def reset(self, queue: QueueId) -> None:
        """Fails what waits with `Cancelled` and forgets the queue's error. What would have been freed is
        freed; names stay as they are; what is in flight still answers."""
        found, lane = self._find(queue)
        lane.reset_queue(found)

    def describe(self, queue: QueueId) -> str:
        """A queue's state in words."""
        found, lane = self._find(queue)
        kinds = [type(work).__name__.removesuffix("Work") for work in list(found.work)[:8]]
        there = lane.commands_in_flight(found)
        state = f"failed: {found.error}" if found.error is not None else "ok"
        return (
            f"queue {queue} on {lane.info.name}: {state}; priority {found.priority}; "
            f"{len(found.work)} waiting ({', '.join(kinds) or 'nothing'}), {there} with the driver"
        )

    def charge_pages(self) -> None:
        """Page-seconds until now."""
        now = self._clock.now()
        area = sum(space.pages.held.area(now) for space in self._spaces.values())
        self.budget.charge("page_seconds", area - self._page_seconds)
        self._page_seconds = area

    def _check_budget(self) -> None:
        self.budget.check_all(("tokens", "compute_ms"))
        self._account.over = False

    def usage(self) -> SessionUsage:
        now, spaces = self._clock.now(), self._spaces.values()
        lanes = self._spaces or self._all_lanes()
        free = min((len(lane.memory.pages.free) for lane in lanes), default=self.pages.left)
        return SessionUsage(
            pages=sum(space.pages.held.held for space in spaces),
            embs=sum(space.embs.held.held for space in spaces),
            page_seconds=sum(space.pages.held.area(now) for space in spaces),
            tokens=self._account.tokens,
            compute_ms=self._account.compute_ms,
            pages_left=min(free, self.pages.left),
        )

    def glance(self) -> Glance:
        """What a list of all programs shows of it."""
        spaces = self._spaces.items()
        away = [len(lane.memory.swapped(space)) for lane, space in spaces if space.suspended]
        pages = sum(space.pages.held.held for _, space in spaces)
        account = self._account
        return Glance(account.commands, account.tokens, pages, sum(away), bool(away))

    def close(self) -> None:
        """Gives everything back, whatever waits or is in flight. No completion is called any more."""
        if not self._open:
            return
        self._open = False
        self.charge_pages()
        for queue, lane in self._queues.values():
            lane.close_queue(queue)
        for lane, space in self._spaces.items():
            lane.close_space(space)
        if self.trace is not None:
            self.trace.close()
        self._on_close(self.instance)

    def _find(self, queue: QueueId) -> tuple[CommandQueue, Lane]:
        try:
            return self._queues[queue]
        except KeyError:
            raise _no_queue(queue) from None

    def _space(self, lane: Lane) -> AddressSpace:
        space = self._spaces.get(lane)
        if space is None:
            space = self._spaces[lane] = AddressSpace(self._settings.max_names, self._tenant, self.pages)
            space.pages.held.change(0, self._clock.now())
            lane.memory.add(space)
        return space

    def _too_much(self) -> LimitExceeded:
        account = self._account
        if account.commands >= self._limit:
            return LimitExceeded(
                f"{account.commands} commands are queued, as many as allowed: wait for one of your futures"
            )
        return LimitExceeded(
            f"{account.numbers} numbers are queued in arguments, more than "
            f"{self._settings.max_queued_numbers}: synchronize before queueing more"
        )


def _no_queue(queue: QueueId) -> UnknownId:
    return UnknownId(f"queue {queue} does not exist: create_queue first")


def _refusal(queue: CommandQueue, lane: Lane) -> PieError:
    if lane.down:
        return Unavailable(f"{lane.down}; try again when it has restarted")
    return QueueFailed(f"queue {queue.name} has failed: {queue.error}. reset_queue makes it usable again")
