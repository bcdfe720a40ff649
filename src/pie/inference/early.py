"""A driver process that begins before anybody knows what it will have to do: it loads what every driver
needs, and meanwhile the host can load its own modules on another core. Light, so that it comes first.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

EARLY = "--early"
EXECUTOR = "pie.inference.executor:open_executor"
"""What makes the heart of a driver process."""


@dataclass
class EarlyProcess:
    """Waits for its options on the line whose host's end is `line`. Once `taken`, its taker ends it."""

    process: asyncio.subprocess.Process
    line: socket.socket
    taken: bool = False

    async def close(self) -> None:
        """Nothing where it was taken."""
        if self.taken:
            return
        self.line.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


async def spawn(line: int, environment: dict[str, str], *options: str) -> asyncio.subprocess.Process:
    """A driver process that inherits the descriptor `line`."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pie.inference.worker",
        str(line),
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(line,),
        env=environment,
        start_new_session=True,  # Ctrl-C in the terminal is the host's business
    )


def base_environment() -> dict[str, str]:
    """Threads that wait for work sleep instead of spinning: host and driver share the processor. (Spinning is
    a tenth faster on an idle machine, and two to ten times slower beside one other busy process.)"""
    return {**os.environ, "OMP_WAIT_POLICY": "passive"}


@asynccontextmanager
async def early_process() -> AsyncIterator[EarlyProcess]:
    """Ended on leaving, if no driver has taken it."""
    line, other_end = socket.socketpair()
    with other_end:
        early = EarlyProcess(await spawn(other_end.fileno(), base_environment(), EARLY), line)
    try:
        yield early
    finally:
        await early.close()
