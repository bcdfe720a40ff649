"""Faults injected on purpose: an executor that fails when it is told to. Used by tests, in this process or
through `DriverProcess`."""

import os
import signal
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from pie.core.driver import DriverSpec, Executor
from pie.core.passes import Pass, PassResult
from pie.inference.wire import Fault


class FaultInjected(RuntimeError):
    """Raised by the fault "raise"."""


class FaultPlan:
    """Which fault is due at which pass. `fired` counts those that happened, by kind."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._due = {fault.at: fault.kind for fault in faults}
        self.fired: Counter[str] = Counter()

    def take(self, at: int, kinds: tuple[str, ...]) -> str:
        kind = self._due.get(at, "")
        if kind not in kinds:
            return ""
        self.fired[kind] += 1
        return kind


def hang() -> None:
    threading.Event().wait()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise FaultInjected("a fault was injected here")


BEFORE: dict[str, Callable[[], None]] = {"raise": fail, "hang": hang, "kill": kill}


class FaultyExecutor:
    """An executor around another. Pass numbers count from 1; fault 0 strikes when it is made."""

    def __init__(self, executor: Callable[[], Executor], plan: FaultPlan) -> None:
        self._plan = plan
        self._passes = 0
        self._strike()
        self._executor = executor()

    @property
    def spec(self) -> DriverSpec:
        return self._executor.spec

    def execute(self, work: Pass) -> PassResult:
        self._passes += 1
        self._strike()
        result = self._executor.execute(work)
        return without_numbers(result) if self._plan.take(self._passes, ("nan",)) else result

    def _strike(self) -> None:
        kind = self._plan.take(self._passes, tuple(BEFORE))
        if kind:
            BEFORE[kind]()


def without_numbers(result: PassResult) -> PassResult:
    """The result of a driver that has lost its mind: every probability is NaN."""

    def nans(column: "array[float]") -> "array[float]":
        return array("f", [float("nan")] * len(column))

    return replace(
        result,
        top_probs=nans(result.top_probs),
        chosen_logprobs=nans(result.chosen_logprobs),
        entropies=nans(result.entropies),
    )


def alter(message: bytes, kind: str) -> list[bytes]:
    """What goes over the wire instead of `message`."""
    return {"lose": [], "twice": [message, message], "truncate": [message[: len(message) // 2]]}[kind]


ON_THE_WIRE = ("lose", "twice", "truncate")
