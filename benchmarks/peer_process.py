"""A peer's process: started, asked, held still while others are measured, and ended for certain."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Any, Self

from harness import ROOT
from peer_rows import ENVS, Engine

LOGS = ENVS / "logs"
END_SECONDS = 10.0
OWN = ("PYTHON", "VIRTUAL_ENV")


class PeerFailed(Exception):
    """It did not start, did not answer in time, or said what went wrong."""


class PeerProcess:
    """In a session of its own, so that its children can be stopped and killed with it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.version = ""
        self.start_seconds = 0.0
        self._began = time.monotonic()
        self._rest = b""
        self._ended = False
        self._log = log_file(engine)
        self._process = subprocess.Popen(
            [engine.python, str(engine.script), *engine.args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(engine),
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        left = self._began + self.engine.start_seconds - time.monotonic()
        self.version = str(self._answer(max(1.0, left))["ready"])
        self.start_seconds = time.monotonic() - self._began

    def wave(
        self, prompts: Sequence[Sequence[int]], tokens: int, way: str, limit_s: float
    ) -> list[list[float]]:
        """Seconds at which each stream's tokens came. Raises `PeerFailed`."""
        answer = self._ask({"wave": prompts, "tokens": tokens, "way": way}, limit_s)
        arrivals: list[list[float]] = answer["arrivals"]
        counts = {len(times) for times in arrivals}
        if counts != {tokens}:
            raise PeerFailed(f"gave {sorted(counts)} tokens instead of {tokens}")
        return arrivals

    def score(self, windows: Sequence[Sequence[int]], start: int, limit_s: float) -> float | None:
        found: float | None = self._ask({"score": windows, "from": start}, limit_s)["nll"]
        return found

    @contextlib.contextmanager
    def awake(self) -> Iterator[Self]:
        """Peers sleep outside of this, so that no thread of theirs spins while others are measured."""
        self._signal(signal.SIGCONT)
        try:
            yield self
        finally:
            if self.engine.peer:
                self._signal(signal.SIGSTOP)

    def _ask(self, request: dict[str, Any], limit_s: float) -> dict[str, Any]:
        if self._process.stdin is None:
            raise PeerFailed("it has ended")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerFailed(f"it has ended ({error.strerror}); see {self._log.name}") from error
        return self._answer(limit_s)

    def _answer(self, limit_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line(time.monotonic() + limit_s))
        if "error" in answer:
            raise PeerFailed(f"{answer['error']}; see {self._log.name}")
        return answer

    def _line(self, until: float) -> bytes:
        """The next line of its output. Raises `PeerFailed` when it ends or the time is over."""
        if self._process.stdout is None:
            raise PeerFailed("it has ended")
        output = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([output], [], [], left)[0]:
                raise PeerFailed(f"no answer in time; see {self._log.name}")
            more = os.read(output, 1 << 20)
            if not more:
                raise PeerFailed(f"it ended; see {self._log.name}")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """It may end by itself when its input does; what is left of it is killed. May be called again."""
        if self._ended:
            return
        self._ended = True
        self._signal(signal.SIGCONT)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS if not self.engine.peer else 0.5)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()


def log_file(engine: Engine) -> IO[bytes]:
    LOGS.mkdir(parents=True, exist_ok=True)
    name = "".join(letter if letter.isalnum() else "-" for letter in engine.name.lower())
    return (LOGS / f"{name}.log").open("wb")


def environment(engine: Engine) -> dict[str, str]:
    """No variable of Pie's own environment reaches a peer's Python; its programs are found first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    if not engine.peer:
        return kept | {"PYTHONPATH": str(ROOT / "benchmarks")}
    folder = ENVS / engine.peer / "bin"
    return kept | {"PATH": f"{folder}:{kept.get('PATH', '')}", "VLLM_CACHE_ROOT": str(ENVS / "cache")}
