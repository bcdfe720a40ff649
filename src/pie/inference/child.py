"""One driver process: started, listened to, ended. Never left behind."""

import asyncio
import contextlib
import logging
from collections import deque

from pie.inference.early import base_environment, spawn

LAST_LINES = 12
CLOSE_SECONDS = 2.0
log = logging.getLogger("pie.driver")


class Child:
    """`ended` is a task whose result is why the process is gone."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._listener = asyncio.create_task(self._listen())
        self.ended = asyncio.create_task(self._wait())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_lines(self) -> str:
        return "\n".join(self._lines)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Asks it to end (by ending its input), then insists. When this returns, it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        done, _ = await asyncio.wait({self.ended}, timeout=CLOSE_SECONDS)
        if not done:
            self.kill()
        await self.ended

    async def _wait(self) -> str:
        code = await self._process.wait()
        await self._listener
        return f"its process ended with {describe_exit(code)}"

    async def _listen(self) -> None:
        stream = self._process.stderr
        rest = b""
        while stream is not None and (data := await stream.read(4096)):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._keep(line)
        self._keep(rest)

    def _keep(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._lines.append(text)
            log.warning("driver: %s", text)


def describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


async def start_child(line: int, threads: int) -> Child:
    """The process inherits the descriptor `line`, on which it is then told its options."""
    return Child(await spawn(line, {**base_environment(), "OMP_NUM_THREADS": str(threads)}))
