"""A recorded control layer once more: the same stimuli at the same times, and are the decisions the same?

The driver answers from the record, programs are never woken, and time is what the record says. What has to
agree is every pass: which stimulus leads to it, and each of its columns.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pie.control.control import Control
from pie.control.record_file import INNER, BadRecord, Event, Kind
from pie.control.recording import outline
from pie.control.replay_parts import NoWords, ReplayClock, ReplayDriver, Silence
from pie.control.session import Session
from pie.control.settings import ControlSettings
from pie.core import commands
from pie.core.driver import DriverSpec
from pie.core.errors import PieError, Unavailable
from pie.core.ids import InstanceId
from pie.core.model import ModelInfo
from pie.core.passes import Pass
from pie.core.programs import Limits

CALL_OUTS = (Kind.RUNNABLE, Kind.PASS, Kind.REFUSED)
"""What control does during a stimulus."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far the decisions were the same."""

    passes: int
    stimuli: int
    seconds: float
    difference: str
    """The first one; empty where there is none."""
    full: bool
    """The record ended because its file had reached its bound."""
    broken: str = ""
    """Why the file could not be read to its end; empty where it could."""


def replay(events: Iterable[Event], settings: ControlSettings | None = None) -> Replayed:
    """`settings`: others than those recorded, to see when decisions begin to differ."""
    return Replay(iter(events), settings).run()


class Replay:
    """One run through a record."""

    def __init__(self, events: Iterator[Event], settings: ControlSettings | None) -> None:
        self._events = events
        self._ahead: Event | None = None
        self._us = 0
        self._passes = 0
        self._stimuli = 0
        self._difference = ""
        self._broken = ""
        header: Event = next(events, [Kind.END])
        if header[0] != Kind.HEADER:
            raise BadRecord("a record begins with its header")
        about = header[1]
        self._commands = [_command_class(name) for name in about["commands"]]
        self._columns: list[str] = about["columns"]
        self._clock = ReplayClock()
        recorded = msgspec.convert(about["settings"], ControlSettings)
        self._control = ReplayedControl(replace(settings or recorded, trace_events=0), self._clock, self)
        self._drivers: list[ReplayDriver] = []
        self._sessions: list[Session] = []
        self._runs: dict[tuple[int, int], Silence] = {}
        self._runs_made: dict[int, int] = {}

    def run(self) -> Replayed:
        full = False
        try:
            while not self._difference:
                event = self._take()
                if event[0] == Kind.END:
                    full = event[1]
                    break
                self._play(event)
        except BadRecord as error:
            self._broken = str(error)
        except (LookupError, TypeError, ValueError) as error:
            self._broken = f"the record makes no sense ({type(error).__name__}: {error})"
        return Replayed(self._passes, self._stimuli, self._us / 1e6, self._difference, full, self._broken)

    # What the parts of the replayed control layer ask

    def runnable(self) -> int:
        event = self._peek()
        if event[0] != Kind.RUNNABLE:
            self._differ("the replay asks how many programs could run", event)
            return 0
        return int(self._take()[1])

    def sent(self, model: int, work: Pass) -> None:
        """Raises `Unavailable` where the driver did not take it then either."""
        event = self._peek()
        if event[0] != Kind.PASS or event[1:3] != [model, work.number]:
            self._differ(f"the replay sends pass {work.number} ({_describe(work)})", event)
        if self._difference or self._broken:
            return
        self._take()
        found, told = outline(work), [tuple(each) for each in event[3]]
        if found != told:
            self._difference = self._at(f"pass {work.number} is another one: {self._compare(found, told)}")
            return
        self._passes += 1
        if self._peek()[0] == Kind.REFUSED:
            self._take()
            raise Unavailable("the driver did not take the pass")
        self._play_inner()

    # The record

    def _peek(self) -> Event:
        """Never raises: it is asked from inside the control layer, too."""
        if self._ahead is None:
            try:
                self._ahead = next(self._events)
            except StopIteration:
                self._break("the record breaks off")
            except BadRecord as error:
                self._break(str(error))
        return self._ahead or [Kind.END, False]

    def _break(self, why: str) -> None:
        self._broken = self._broken or why
        self._ahead = [Kind.END, False]

    def _take(self) -> Event:
        event = self._peek()
        if event[0] != Kind.END:
            self._ahead = None
        return event

    def _play_inner(self) -> None:
        """What came while the driver took the pass."""
        while not self._difference and self._peek()[0] >= INNER:
            event = self._take()
            self._play([event[0] - INNER, *event[1:]])

    def _play(self, event: Event) -> None:
        kind, passed, *about = event
        if kind in CALL_OUTS:
            self._differ("the replay does nothing more at this stimulus", event)
            return
        self._us += passed
        self._stimuli += 1
        self._clock.set(self._us / 1e6)
        act = ACTS.get(kind)
        if act is None:
            raise BadRecord(f"the record has something that this version does not know ({kind})")
        try:
            act(self, *about)
        except PieError as error:
            if isinstance(error, BadRecord):
                raise

    # Stimuli, as in `Kind`

    def _add_model(self, info: Any, spec: Any) -> None:
        driver = ReplayDriver(self.sent, len(self._drivers), msgspec.convert(spec, DriverSpec))
        self._drivers.append(driver)
        self._control.add_model(msgspec.convert(info, ModelInfo), driver, NoWords())

    def _open(self, limits: Any, tenant: str, parent: int | None) -> None:
        name = InstanceId(str(len(self._sessions)))
        above = None if parent is None else self._sessions[parent]
        self._sessions.append(self._control.open(name, msgspec.convert(limits, Limits), tenant, above))

    def _create_queue(self, session: int, model: str) -> None:
        self._sessions[session].create_queue(model)

    def _set_priority(self, session: int, queue: Any, priority: int) -> None:
        self._sessions[session].set_priority(queue, priority)

    def _submit(self, session: int, queue: Any, index: int, about: Any, asks: bool, accepted: bool) -> None:
        command = msgspec.convert(about, self._commands[index])
        silence = Silence() if asks else None
        if asks and isinstance(command, commands.DecodeAhead):
            silence = self._expect(session, self._runs_made.get(session, 0))
        name = type(command).__name__
        try:
            self._sessions[session].submit(queue, command, silence)
        except PieError as error:
            if accepted:
                self._difference = self._at(f"{name}, which was accepted, is refused: {error}")
        else:
            if not accepted:
                self._difference = self._at(f"{name}, which was refused, is accepted")

    def _hint(self, session: int, queue: Any, hint: Any, pages: Any, ttl_ms: int) -> None:
        self._sessions[session].hint(queue, hint, pages, ttl_ms)

    def _stop(self, session: int, queue: Any, run: int) -> None:
        listener = self._runs.get((session, run))
        if listener is not None:
            self._sessions[session].stop(queue, listener)

    def _listen(self, session: int, queue: Any, number: int) -> None:
        self._sessions[session].on_pressure(queue, self._expect(session, number))

    def _ignore(self, session: int, queue: Any, number: int) -> None:
        silence = self._runs.pop((session, number), None)
        if silence is not None:
            self._sessions[session].ignore_pressure(queue, silence)

    def _expect(self, session: int, number: int) -> Silence:
        silence = self._runs[session, number] = Silence()
        silence.forget = lambda: self._runs.pop((session, number), None)
        self._runs_made[session] = number + 1
        return silence

    def _reset(self, session: int, queue: Any) -> None:
        self._sessions[session].reset(queue)

    def _close(self, session: int) -> None:
        self._sessions[session].close()

    def _look_at_exports(self, session: int, model: str, what: str, name: str) -> None:
        exports = self._sessions[session].exports(model)
        match what:
            case "unexport":
                exports.unexport(name)
            case "find":
                exports.find(name)
            case _:
                exports.list()

    def _allow(self, session: int, most: int) -> None:
        self._sessions[session].pages.most = most

    def _adopt(self, settings: Any) -> None:
        self._control.adopt(msgspec.convert(settings, ControlSettings))

    def _pump(self) -> None:
        self._control.pump()

    def _ring(self, timer: int) -> None:
        if not self._clock.ring(timer):
            self._difference = self._at("a timer rings that the replay has not set")

    def _done(
        self,
        model: int,
        number: int,
        seconds: float,
        error: str,
        whole: bool,
        sampled: list[int],
        rows: list[int],
        texts: list[str],
    ) -> None:
        self._drivers[model].answer(number, seconds, error, whole, sampled, rows, texts)

    def _lose(self, model: int) -> None:
        self._drivers[model].lose()

    def _restore(self, model: int) -> None:
        self._drivers[model].restored()

    # Differences

    def _differ(self, here: str, event: Event) -> None:
        if self._broken:
            return
        there = Kind(event[0] % INNER).name.lower()
        if event[0] == Kind.PASS:
            there = f"pass {event[2]}"
        elif event[0] not in CALL_OUTS:
            there = f"the next stimulus ({there})"
        self._difference = self._difference or self._at(f"{here}; the record has {there}")

    def _at(self, what: str) -> str:
        return f"at {self._us / 1e6:.6f} s, after {self._passes} passes: {what}"

    def _compare(self, found: list[tuple[int, int, int]], told: list[tuple[int, ...]]) -> str:
        here, there = ({index: rest for index, *rest in each} for each in (found, told))
        parts = []
        for index in sorted(here.keys() | there.keys()):
            (mine, *_), (its, *_) = here.get(index, [0]), there.get(index, [0])
            if here.get(index) != there.get(index):
                what = f"{mine} numbers here, {its} there" if mine != its else "other numbers"
                parts.append(f"{self._columns[index]} ({what})")
        return ", ".join(parts)


ACTS: dict[int, Callable[..., None]] = {
    Kind.MODEL: Replay._add_model,
    Kind.OPEN: Replay._open,
    Kind.QUEUE: Replay._create_queue,
    Kind.PRIORITY: Replay._set_priority,
    Kind.SUBMIT: Replay._submit,
    Kind.HINT: Replay._hint,
    Kind.STOP: Replay._stop,
    Kind.RESET: Replay._reset,
    Kind.PRESSURE: Replay._listen,
    Kind.IGNORE: Replay._ignore,
    Kind.CLOSE: Replay._close,
    Kind.EXPORTS: Replay._look_at_exports,
    Kind.ALLOWANCE: Replay._allow,
    Kind.ADOPT: Replay._adopt,
    Kind.PUMP: Replay._pump,
    Kind.TIMER: Replay._ring,
    Kind.DONE: Replay._done,
    Kind.LOST: Replay._lose,
    Kind.RESTORED: Replay._restore,
}


class ReplayedControl(Control):
    def __init__(self, settings: ControlSettings, clock: ReplayClock, replay: Replay) -> None:
        super().__init__(settings, clock)
        self.runnable = replay.runnable  # type: ignore[method-assign]


def _command_class(name: str) -> type[Any]:
    found = getattr(commands, name, None)
    if found is None:
        raise BadRecord(f"the record has commands that this version does not know ({name})")
    kind: type[Any] = found
    return kind


def _describe(work: Pass) -> str:
    dists, samples = len(work.dist_slots), len(work.sample_slots)
    return f"{work.token_count} tokens, {dists} distributions, {samples} samples"
