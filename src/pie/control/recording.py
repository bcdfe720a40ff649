"""A control layer that writes down every stimulus, and every pass that it decides on.

Decisions are a function of the state and of `now`; so whoever has what entered a control layer, in order and
with its times, can make the same decisions again (`replaying.py`). Recorded are calls, results of passes
(what they say to the control layer, not the distributions), times, and how many programs could run when that
was asked. Not recorded are texts: prompts are there as token ids, grammars by their digest.

While a stimulus is worked on, time stands still, so that one time for each stimulus is all there is to
record.
"""

import time
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pie
from pie.control.control import Control
from pie.control.exports import TenantExports
from pie.control.hints import Hint, HintAnswer
from pie.control.record_file import INNER, Kind, RecordWriter
from pie.control.session import Session
from pie.control.settings import ControlSettings
from pie.control.shapes import fits
from pie.core.clock import Clock, Handle
from pie.core.commands import Command, Completion, DecodeAhead, Exported, ExportPages, Listener, NewMatchers
from pie.core.driver import Driver, DriverSpec
from pie.core.errors import LimitExceeded, PieError
from pie.core.ids import InstanceId, QueueId, VirtualPage
from pie.core.model import ModelInfo
from pie.core.passes import Pass, PassResult, column_types
from pie.core.programs import DEFAULT_TENANT, Limits
from pie.core.tokenizer import Tokenizer

COMMANDS: tuple[type[Any], ...] = Command.__args__
"""A command's index here stands for its class."""
COLUMNS = tuple(column_types(Pass))
FLUSH_US = 1_000_000


class Tape:
    """Writes stimuli with their times; a `core.clock.Clock` that stands still during each of them."""

    def __init__(self, writer: RecordWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._zero = clock.now()
        self._us = 0
        """Of the stimulus that is worked on, or was last."""
        self._written_us = 0
        self._flushed_us = 0
        self._depth = 0
        self._timers = 0

    def now(self) -> float:
        return (self._us if self._depth else self._time()) / 1e6

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        number = self._timers
        self._timers += 1

        def rings() -> None:
            with self.stimulus(Kind.TIMER, number):
                callback()

        return self._clock.call_at(self._zero + when, rings)

    @contextmanager
    def stimulus(self, kind: Kind, *about: Any) -> Iterator[None]:
        """What is written during it belongs to it."""
        with self.held():
            self.note(kind, *about)
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Time stands still."""
        if not self._depth:
            self._us = self._time()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @property
    def busy(self) -> bool:
        return self._depth > 0

    def note(self, kind: Kind, *about: Any) -> None:
        """Writes the stimulus that is worked on."""
        inner = INNER if self._depth > 1 else 0
        self._writer.write([kind + inner, self._us - self._written_us, *about])
        self._written_us = self._us
        if self._us - self._flushed_us > FLUSH_US:
            self._flushed_us = self._us
            self._writer.flush()

    def add(self, kind: Kind, *about: Any) -> None:
        """Something that control asked for, or decided."""
        self._writer.write([kind, *about])

    def close(self) -> None:
        self._writer.close()

    def _time(self) -> int:
        """Rounded up: a timer that rings must not come before its time."""
        return max(self._us, int((self._clock.now() - self._zero) * 1e6) + 1)


class RecordedControl(Control):
    """Behaves as a `Control` does, and tells the tape."""

    def __init__(self, settings: ControlSettings, clock: Clock, writer: RecordWriter) -> None:
        self.tape = Tape(writer, clock)
        names = [command.__name__ for command in COMMANDS]
        header = {
            "pie": pie.__version__, "at": time.time(), "settings": settings, "commands": names,
            "columns": COLUMNS,
        }  # fmt: skip
        self.tape.add(Kind.HEADER, header)
        self._numbers: dict[InstanceId, int] = {}
        self._opened = 0
        super().__init__(settings, self.tape)

    def add_model(self, info: ModelInfo, driver: Driver, tokenizer: Tokenizer) -> None:
        plain = replace(info, description="", chat_template="")
        with self.tape.stimulus(Kind.MODEL, plain, driver.spec):
            number = len(self.models())
            super().add_model(info, RecordedDriver(driver, self.tape, number), tokenizer)

    def open(
        self,
        instance: InstanceId,
        limits: Limits,
        tenant: str = DEFAULT_TENANT,
        parent: Session | None = None,
    ) -> Session:
        with self.tape.held():
            session = super().open(instance, limits, tenant, parent)
            above = parent.number if isinstance(parent, RecordedSession) else None
            self.tape.note(Kind.OPEN, limits, tenant, above)
        return session

    def make_session(self, *about: Any) -> Session:
        session = RecordedSession(*about)
        session.begin(self.tape, self._opened)
        self._opened += 1
        return session

    def adopt(self, settings: ControlSettings) -> None:
        with self.tape.stimulus(Kind.ADOPT, settings):
            super().adopt(settings)

    def pump(self) -> None:
        if self.at_rest:
            return
        with self.tape.stimulus(Kind.PUMP):
            super().pump()

    def runnable(self) -> int:
        count = super().runnable()
        self.tape.add(Kind.RUNNABLE, count)
        return count


class RecordedSession(Session):
    """Made by `RecordedControl.open`. A call that was refused has changed nothing that matters to others, but
    may have looked at names that have expired; so it is written down, except where a limit refused it that a
    replay does not know."""

    def begin(self, tape: Tape, number: int) -> None:
        self.tape = tape
        self.number = number
        self._most = self.pages.most
        self._runs: dict[Completion, RecordedRun] = {}
        self._runs_made = 0

    def create_queue(self, model: str) -> QueueId:
        with self.tape.stimulus(Kind.QUEUE, self.number, model):
            return super().create_queue(model)

    def set_priority(self, queue: QueueId, priority: int) -> None:
        with self.tape.stimulus(Kind.PRIORITY, self.number, queue, priority):
            super().set_priority(queue, priority)

    def submit(self, queue: QueueId, command: Command, completion: Completion | None = None) -> None:
        if self.tape.busy:  # part of a submission
            super().submit(queue, command, completion)
            return
        self._note_allowance()
        with self.tape.held():
            told = completion
            if isinstance(command, DecodeAhead) and completion is not None:
                told = self._runs[completion] = self._make_run(completion)
            try:
                super().submit(queue, command, told)
            except PieError as error:
                if completion is not None:
                    self._runs.pop(completion, None)
                if not isinstance(error, LimitExceeded):
                    self._note(queue, command, completion, accepted=False)
                raise
            self._note(queue, command, completion, accepted=True)

    def hint(self, queue: QueueId, hint: Hint, pages: Sequence[VirtualPage], ttl_ms: int = 0) -> HintAnswer:
        with self.tape.stimulus(Kind.HINT, self.number, queue, hint, pages, ttl_ms):
            return super().hint(queue, hint, pages, ttl_ms)

    def stop(self, queue: QueueId, listener: Listener) -> None:
        run = self._runs.get(listener)
        if run is not None:
            with self.tape.stimulus(Kind.STOP, self.number, queue, run.number):
                super().stop(queue, run)

    def on_pressure(self, queue: QueueId, completion: Completion) -> None:
        told = self._runs[completion] = self._make_run(completion)
        self._runs_made += 1
        with self.tape.stimulus(Kind.PRESSURE, self.number, queue, told.number):
            super().on_pressure(queue, told)

    def ignore_pressure(self, queue: QueueId, completion: Completion) -> None:
        told = self._runs.pop(completion, None)
        if told is not None:
            with self.tape.stimulus(Kind.IGNORE, self.number, queue, told.number):
                super().ignore_pressure(queue, told)

    def reset(self, queue: QueueId) -> None:
        with self.tape.stimulus(Kind.RESET, self.number, queue):
            super().reset(queue)

    def exports(self, model: str) -> TenantExports:
        return cast(TenantExports, RecordedExports(self.tape, self.number, model, super().exports(model)))

    def close(self) -> None:
        with self.tape.stimulus(Kind.CLOSE, self.number):
            super().close()
        self._runs.clear()

    def forget(self, listener: Completion) -> None:
        self._runs.pop(listener, None)

    def _make_run(self, listener: Completion) -> "RecordedRun":
        return RecordedRun(self._runs_made, self, listener)

    def _note(self, queue: QueueId, command: Command, completion: Completion | None, accepted: bool) -> None:
        self._runs_made += isinstance(command, DecodeAhead) and completion is not None
        index = COMMANDS.index(type(command))
        about = without_text(command)
        self.tape.note(Kind.SUBMIT, self.number, queue, index, about, completion is not None, accepted)

    def _note_allowance(self) -> None:
        """What is lent to children is taken off without a call."""
        if self.pages.most != self._most:
            self._most = self.pages.most
            with self.tape.stimulus(Kind.ALLOWANCE, self.number, self._most):
                pass


class RecordedRun:
    """A `Listener`, or another completion that can be taken back, with a number."""

    def __init__(self, number: int, session: RecordedSession, listener: Completion) -> None:
        self.number = number
        self._session = session
        self._listener = listener
        self.add: Callable[[int], None] = getattr(listener, "add", self.resolve)

    def resolve(self, value: object) -> None:
        self._session.forget(self._listener)
        self._listener.resolve(value)

    def fail(self, error: PieError) -> None:
        self._session.forget(self._listener)
        self._listener.fail(error)


class RecordedExports:
    """What programs use of `TenantExports`. Looking at names forgets those that were lost."""

    def __init__(self, tape: Tape, session: int, model: str, exports: TenantExports) -> None:
        self._tape = tape
        self._about = session, model
        self._exports = exports

    def unexport(self, name: str) -> None:
        with self._tape.stimulus(Kind.EXPORTS, *self._about, "unexport", name):
            self._exports.unexport(name)

    def find(self, name: str) -> Exported | None:
        with self._tape.stimulus(Kind.EXPORTS, *self._about, "find", name):
            return self._exports.find(name)

    def list(self) -> Sequence[Exported]:
        with self._tape.stimulus(Kind.EXPORTS, *self._about, "list", ""):
            return self._exports.list()


class RecordedDriver:
    """A `core.driver.Driver` whose passes and answers are written down."""

    def __init__(self, driver: Driver, tape: Tape, number: int) -> None:
        self._driver = driver
        self._tape = tape
        self._number = number
        self._sent: dict[int, Pass] = {}
        """In flight."""

    @property
    def spec(self) -> DriverSpec:
        return self._driver.spec

    def attach(
        self,
        done: Callable[[PassResult], None],
        lost: Callable[[str], None],
        restored: Callable[[], None],
    ) -> None:
        def answered(result: PassResult) -> None:
            sent = self._sent.pop(result.number, None)
            whole = sent is not None and fits(sent, result)
            about = result.number, result.seconds, result.error, whole
            faults = result.sampled, result.fault_rows, result.fault_texts
            with self._tape.stimulus(Kind.DONE, self._number, *about, *faults):
                done(result)

        def gone(reason: str) -> None:
            self._sent.clear()
            with self._tape.stimulus(Kind.LOST, self._number):
                lost(reason)

        def back() -> None:
            with self._tape.stimulus(Kind.RESTORED, self._number):
                restored()

        self._driver.attach(answered, gone, back)

    def submit(self, work: Pass) -> None:
        self._sent[work.number] = work
        self._tape.add(Kind.PASS, self._number, work.number, outline(work))
        try:
            self._driver.submit(work)
        except Exception:
            self._sent.pop(work.number, None)
            self._tape.add(Kind.REFUSED)
            raise


def outline(work: Pass) -> list[tuple[int, int, int]]:
    """Index, length and CRC-32 of each column that is not empty; of texts only how many there are."""
    found = []
    for index, name in enumerate(COLUMNS):
        column = getattr(work, name)
        if column and not (len(column) == 1 and name.endswith("starts")):
            check = zlib.crc32(column) if isinstance(column, array) else 0
            found.append((index, len(column), check))
    return found


def without_text(command: Command) -> Command:
    if isinstance(command, NewMatchers):
        return command._replace(grammar=replace(command.grammar, text=""))
    if isinstance(command, ExportPages):
        return command._replace(about=bytes(len(command.about)))
    return command
