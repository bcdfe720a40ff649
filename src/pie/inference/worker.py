"""The driver process: `python -m pie.inference.worker LINE [--early]`. Started by `DriverProcess` only.

`LINE` is the descriptor of its end of a line to the host, on which it is told its options first; with
`--early` it loads its modules before it listens. It executes passes in order and sends results, and ends by
itself when its host is gone: the host holds the other end of its standard input.
"""

import contextlib
import importlib
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable

import msgspec

from pie.core.driver import Executor
from pie.core.errors import PieError
from pie.core.passes import Pass, PassResult
from pie.core.progress import Progress, Step
from pie.inference.early import EARLY, EXECUTOR
from pie.inference.faults import ON_THE_WIRE, FaultPlan, FaultyExecutor, alter
from pie.inference.framing import HEADER, framed
from pie.inference.torch_parts import leave_out_descriptions, load_descriptions
from pie.inference.wire import (
    Advanced,
    Began,
    Done,
    Ended,
    FromDriver,
    Ready,
    Refused,
    Wire,
    WorkerOptions,
    done,
)

ExecutorFactory = Callable[[WorkerOptions, Progress], Executor]
log = logging.getLogger(__name__)


class Line:
    """The worker's end. It may block: the host never does."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._input = self._socket.makefile("rb")
        self._wire = Wire()
        self.plan = FaultPlan(())
        self._answers = 0

    def send(self, message: FromDriver) -> None:
        self._socket.sendall(framed(self._wire.encode(message)))

    def answer(self, message: Done) -> None:
        self._answers += 1
        data = self._wire.encode(message)
        kind = self.plan.take(self._answers, ON_THE_WIRE)
        for part in alter(data, kind) if kind else (data,):
            self._socket.sendall(framed(part))

    def receive_options(self) -> WorkerOptions:
        """Raises `EOFError` when the host is gone."""
        return msgspec.json.decode(self._message(), type=WorkerOptions)

    def receive(self) -> Pass:
        """Raises `EOFError` when the host is gone."""
        return self._wire.decode_pass(self._message())

    def _message(self) -> bytes:
        (size,) = HEADER.unpack(self._read(HEADER.size))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._input.read(size)
        if len(data) < size:
            raise EOFError("the host has closed the line")
        return data

    def close(self) -> None:
        self._input.close()
        self._socket.close()


class SentStep:
    """A step whose progress travels to the host, in at most a hundred pieces."""

    def __init__(self, line: Line, number: int, total: int | None) -> None:
        self._line = line
        self._number = number
        self._piece = (total or 0) // 100
        self._unsent = 0

    def advance(self, amount: int = 1) -> None:
        self._unsent += amount
        if self._unsent >= self._piece:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._line.send(Ended(self._number))

    def _flush(self) -> None:
        if self._unsent:
            self._line.send(Advanced(self._number, self._unsent))
            self._unsent = 0

    def __enter__(self) -> "SentStep":
        return self

    def __exit__(self, *exc: object) -> None:
        self.finish()


class SentProgress:
    def __init__(self, line: Line) -> None:
        self._line = line
        self._steps = 0

    def start(self, label: str, total: int | None = None) -> Step:
        self._steps += 1
        self._line.send(Began(self._steps, label, total))
        return SentStep(self._line, self._steps, total)


def end_with_host() -> None:
    """Ends this process as soon as standard input ends, whatever it is doing."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


def find_factory(name: str) -> ExecutorFactory:
    module, _, function = name.partition(":")
    factory: ExecutorFactory = getattr(importlib.import_module(module), function)
    return factory


def open_executor(options: WorkerOptions, line: Line, plan: FaultPlan) -> Executor | None:
    """None when it cannot start; the host has then been told why."""

    def make() -> Executor:
        return find_factory(options.executor)(options, SentProgress(line))

    try:
        return FaultyExecutor(make, plan) if options.faults else make()
    except PieError as error:
        line.send(Refused(type(error).__name__, str(error)))
    except Exception as error:  # whatever it is, the host must hear of it
        traceback.print_exc()
        line.send(Refused("Unavailable", f"the driver cannot start: {type(error).__name__}: {error}"))
    return None


def execute(executor: Executor, work: Pass) -> PassResult:
    try:
        return executor.execute(work)
    except Exception as error:  # an executor does not raise; if one does, its process lives on
        log.exception("pass %d failed", work.number)
        return PassResult(work.number, 0.0, error=f"the driver failed: {type(error).__name__}: {error}")


def work_off(executor: Executor, line: Line) -> None:
    """Raises `EOFError` or `ConnectionError` when the host is gone."""
    line.send(Ready(executor.spec))
    while True:
        line.answer(done(execute(executor, line.receive())))


def main(arguments: list[str]) -> int:
    threading.Thread(target=end_with_host, daemon=True).start()
    leave_out_descriptions()
    if EARLY in arguments:
        find_factory(EXECUTOR)
    line = Line(int(arguments[0]))
    with contextlib.suppress(EOFError, ConnectionError):
        serve(line)
    line.close()
    return 1


def serve(line: Line) -> None:
    """Raises `EOFError` or `ConnectionError` when the host is gone."""
    options = line.receive_options()
    line.plan = FaultPlan(options.faults)
    if options.settings.device != "cpu":
        load_descriptions()
    executor = open_executor(options, line, line.plan)
    if executor is not None:
        work_off(executor, line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
