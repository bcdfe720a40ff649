"""A running program as its host calls see it: what it holds, what it waits for, what it has used."""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from pie.application.children import Children, lineage
from pie.application.egress_hosts import parse_patterns
from pie.application.egress_requests import Requests
from pie.application.fiber import Fiber
from pie.application.futures import Future, Futures
from pie.application.grammars import OwnGrammars
from pie.application.mailbox import Inbox, Outbox, size_of
from pie.application.services import Services
from pie.application.suspension import Suspension
from pie.application.topics import Member
from pie.application.usage import InstanceUsage
from pie.control import Control, Session
from pie.core.errors import LimitExceeded, PieError
from pie.core.events import Blob, Log, Message
from pie.core.ids import InstanceId
from pie.core.programs import Launch, Source

NOTHING = Source("")
CUT = "… [cut: longer than one piece of the log may be]\n"


class Guest:
    """One for each instance; made at launch, gone at its end.

    The runtime polls `fiber` and calls `wake` puts the guest back into its queue. Everything here happens
    on the loop's thread.
    """

    __slots__ = (
        "_began",
        "_charged_calls",
        "_enqueue",
        "_loop",
        "_make_fiber",
        "_timers",
        "args",
        "budget",
        "bytes_out",
        "children",
        "closed",
        "control",
        "cpu_seconds",
        "doomed",
        "fault",
        "fiber",
        "futures",
        "grammars",
        "host_calls",
        "http",
        "id",
        "inbox",
        "interruption",
        "limits",
        "loop_line",
        "on_sleep",
        "origin",
        "outbox",
        "outboxes",
        "parent",
        "program",
        "queued",
        "services",
        "session",
        "settle",
        "suspension",
        "tenant",
        "topics",
        "trace",
    )

    def __init__(
        self,
        id: InstanceId,
        launch: Launch,
        program: Source | None,
        control: Control,
        services: Services,
        outbox: Outbox,
        loop: asyncio.AbstractEventLoop,
        make_fiber: Callable[[], Fiber],
        enqueue: "Callable[[Guest], None]",
        settle: Callable[[], None],
        parent: "Guest | None" = None,
    ) -> None:
        """Raises `InvalidArgument` where the launch names hosts that are none."""
        limits, hosts = launch.limits, launch.limits.hosts
        self.id = id
        self.tenant = launch.tenant
        self.origin = launch.program
        """What was launched."""
        self.program = program
        """None for a component, which brings its own."""
        self.args = launch.args
        self.limits = limits
        self.parent = parent
        """Whoever spawned it."""
        self.control = control
        self.services = services
        self.http = Requests(
            services.egress,
            None if hosts is None else parse_patterns(hosts),
            services.hoard,
            self.spend_bytes,
        )
        self.topics = Member(services.topics, self.tenant)
        self.children = Children(self, services.start_child)
        self.grammars = OwnGrammars(services.grammars)
        self.session: Session = control.open(
            id, limits, self.tenant, None if parent is None else parent.session
        )
        self.budget = self.session.budget
        self.trace = self.session.trace
        self.futures = Futures(limits.calls_in_flight)
        self.inbox = Inbox()
        self.outbox = outbox
        self.outboxes: list[Outbox] = [each.outbox for each in lineage(self)]
        """Its own and its ancestors', who get its log too."""
        self.suspension = Suspension()
        self.fiber: Fiber | None = None
        """Made at the first poll."""
        self.queued = False
        """It stands in one of the runtime's queues."""
        self.host_calls = 0
        self._charged_calls = 0
        self.bytes_out = 0
        self.cpu_seconds = 0.0
        self.loop_line = 0
        """Line of the loop that the program entered last for the first time."""
        self.doomed: PieError | None = None
        """Why the runtime must end it after this poll."""
        self.fault = ""
        """Traceback of a bug of ours that its calls met."""
        self.interruption: BaseException | None = None
        """Ctrl-C that came during a host call."""
        self.closed = False
        self._loop = loop
        self._make_fiber = make_fiber
        self.settle = settle
        """Called by the runtime when the program has ended or must end."""
        self._enqueue = enqueue
        self._began = time.monotonic()
        self._timers: set[asyncio.TimerHandle] = set()
        self.on_sleep: set[Callable[[], None]] = set()

    # What bindings use

    def next_program(self) -> Source:
        return self.program or NOTHING

    def suspend(self, finish: Callable[[], Any]) -> object:
        """The current host call answers with `finish()` after the next `wake`; for bindings that suspend."""
        return self.suspension.begin(finish)

    def wait_for(self, future: Future, finish: Callable[[], Any] | None = None) -> object:
        """Suspends until the future is done, then answers with `finish()`; without it, raises its error."""
        answer = finish or future.check
        if future.done:
            return answer()
        future.wake = self.wake
        return self.suspension.begin(answer)

    def wake(self) -> None:
        suspension = self.suspension
        if suspension.waits:
            suspension.woken = True
            self._enqueue(self)

    def submit(self, queue: Any, command: Any) -> None:
        self.session.submit(queue, command)

    def ask(self, queue: Any, command: Any) -> int:
        """Submits a command that answers; returns the number of its future."""
        self.futures.check_room()
        future = Future()
        self.session.submit(queue, command, future)
        return self.futures.add(future)

    def await_outside(self, what: str, future: Future) -> int:
        """The number of a future for something that is not the model's; its wait shows in the timeline."""
        trace = self.trace
        if trace is not None and not future.done:
            number = trace.begin(what)
            future.on_over = lambda: trace.end(number)
        return self.futures.add(future)

    def send(self, message: Message | Blob) -> object:
        """Suspends while an attached client is too slow. Raises `LimitExceeded` for one that is too long."""
        size = size_of(message)
        self.check_size("a message", size)
        self.spend_bytes(size)
        self.bytes_out += size
        return self._put(message, (self.outbox,))

    def log(self, stream: str, text: str) -> object:
        """Suspends as `send` does; a piece that is too long is cut."""
        if len(text) > self.limits.message_bytes:
            text = text[: self.limits.message_bytes] + CUT
        return self._put(Log(stream, text), self.outboxes)

    def spend_bytes(self, size: int) -> None:
        """Raises `LimitExceeded` where it may not send so much more."""
        self.budget.check("bytes_out", size)
        self.budget.charge("bytes_out", size)

    def check_size(self, what: str, size: int) -> None:
        most = self.limits.message_bytes
        if size > most:
            raise LimitExceeded(f"{what} of {size} bytes is longer than the limit of {most}; split it")

    def milliseconds(self) -> int:
        """Since the program started."""
        return int((time.monotonic() - self._began) * 1000)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """A timer that ends with the guest at the latest."""

        def run() -> None:
            self._timers.discard(timer)
            callback()

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)
        return timer

    def cancel_timer(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._timers.discard(timer)

    def in_thread(self, function: Callable[..., Any], *args: Any, executor: Executor | None = None) -> object:
        """Suspends while a function runs in a thread, then answers with its result."""
        future = Future()
        running = self._loop.run_in_executor(executor, function, *args)
        running.add_done_callback(lambda done: _hand_over(done, future))
        future.wake = self.wake
        return self.suspend(future.result)

    def usage(self) -> InstanceUsage:
        self.session.charge_pages()
        self._charge_calls()
        used = self.session.usage()
        wall_ms = (time.monotonic() - self._began) * 1000
        return InstanceUsage(
            pages=used.pages,
            embs=used.embs,
            page_seconds=used.page_seconds,
            tokens=used.tokens,
            compute_ms=used.compute_ms,
            cpu_ms=self.cpu_seconds * 1000,
            wall_ms=wall_ms,
            host_calls=self.host_calls,
            bytes_out=self.bytes_out + self.http.bytes_out,
            bytes_in=self.http.bytes_in,
            children=self.children.alive,
            cpu_ms_left=max(0.0, (self.limits.cpu_seconds - self.cpu_seconds) * 1000),
            wall_ms_left=max(0.0, self.limits.wall_seconds * 1000 - wall_ms),
            pages_left=used.pages_left,
            calls_left=self.futures.left,
            children_left=self.children.left(),
            page_seconds_left=self._left("page_seconds"),
            tokens_left=self._whole("tokens"),
            compute_ms_left=self._left("compute_ms"),
            host_calls_left=self._whole("host_calls"),
            bytes_out_left=self._whole("bytes_out"),
        )

    def _left(self, name: str) -> float | None:
        return self.budget.left(name)

    def _whole(self, name: str) -> int | None:
        left = self.budget.left(name)
        return None if left is None else int(left)

    def lend(self, pages: int, calls: int) -> None:
        """To a child; negative numbers give back."""
        self.session.pages.most -= pages
        self.futures.lend(calls)

    # What host calls use when something goes wrong

    def doom(self, why: PieError) -> None:
        """The runtime ends the program as soon as it has left the sandbox."""
        self.doomed = self.doomed or why

    def broke(self, call: str, fault: BaseException) -> None:
        """A host call met a bug of ours (or Ctrl-C)."""
        if not isinstance(fault, Exception):
            self.interruption = fault
            return
        self.fault = "".join(traceback.format_exception(fault))
        logging.getLogger(__name__).error("host call %s of instance %s failed", call, self.id, exc_info=fault)

    # What the runtime uses

    def begin(self) -> None:
        """Its time runs from now on."""
        self._began = time.monotonic()

    def enter(self) -> Fiber:
        """Makes the sandbox, at the first poll, or moves into one that waits for its program."""
        self.fiber = fiber = self._make_fiber()
        if fiber.vacancy is not None:
            self.suspension = fiber.vacancy.move_in(self.next_program())
        return fiber

    @property
    def asleep(self) -> bool:
        """It has asked for what it wants, and waits."""
        return self.suspension.waits

    def when_asleep(self, callback: Callable[[], None]) -> None:
        """Called once, the next time it falls asleep."""
        self.on_sleep.add(callback)

    def fell_asleep(self) -> None:
        callbacks, self.on_sleep = self.on_sleep, set()
        for callback in callbacks:
            callback()

    def spent(self, seconds: float) -> None:
        """Counts processor time and host calls against the budget, and those of its ancestors."""
        if self._charge_calls():
            self.check_budget("host_calls")
        self._charge(seconds)
        parent = self.parent
        while parent is not None:
            parent._charge(seconds)
            if parent.doomed is not None:
                self._enqueue(parent)
            parent = parent.parent

    def _charge_calls(self) -> bool:
        count, self._charged_calls = self.host_calls - self._charged_calls, self.host_calls
        return self.budget.charge_calls(count)

    def check_budget(self, name: str) -> None:
        """Ends the program where nothing is left."""
        try:
            self.budget.check(name)
        except LimitExceeded as error:
            self.doom(error)

    def _charge(self, seconds: float) -> None:
        self.cpu_seconds += seconds
        if self.cpu_seconds > self.limits.cpu_seconds:
            self.doom(
                LimitExceeded(
                    f"used up its {self.limits.cpu_seconds:.4g} s of processor time{self.last_loop()}"
                )
            )

    def last_loop(self) -> str:
        """Where a program that computes for ever, or was stopped by the sandbox, most likely was."""
        if self.program is None or not self.loop_line:
            return ""
        return f"; the last loop it entered begins at {self.program.filename}, line {self.loop_line}"

    def close(self) -> None:
        """Gives everything back. Not while the guest is inside the sandbox."""
        self.closed = True
        self.suspension.forget()
        if self.fiber is not None:
            self.fiber.close()
            self.fiber = None
        self.futures.close()
        self.children.close()
        self.topics.close()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.session.close()

    def _put(self, event: Message | Blob | Log, outboxes: Sequence[Outbox]) -> object:
        for outbox in outboxes:
            outbox.put(event)
        full = next((outbox for outbox in outboxes if outbox.full), None)
        if full is None:
            return None
        full.when_room(self.wake)
        return self.suspension.begin(_nothing)


def _nothing() -> None:
    return None


def _hand_over(done: "asyncio.Future[Any]", future: Future) -> None:
    """The outcome of a thread, on the loop."""
    if done.cancelled():
        return
    error = done.exception()
    if isinstance(error, Exception):
        future.fail(error)
    elif error is None:
        future.resolve(done.result())
