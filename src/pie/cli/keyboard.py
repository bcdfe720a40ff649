"""Standard input, line by line, as messages to the running program."""

import asyncio
import os
import threading
from collections.abc import Callable

from pie.cli.job import Job
from pie.core.errors import LimitExceeded, PieError

CHUNK = 65536
RETRY_SECONDS = 0.05
STDIN = 0


def can_read_input() -> bool:
    """Not when there is no input, nor in the background of a terminal, where reading would stop the job."""
    try:
        return not os.isatty(STDIN) or os.tcgetpgrp(STDIN) == os.getpgrp()
    except OSError:
        return False


async def forward_lines(job: Job) -> None:
    """Until the input or the program ends, or until cancelled. The end of the input is an empty message."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(64)

    def hand_over(line: str | None) -> None:
        room.acquire()
        loop.call_soon_threadsafe(lines.put_nowait, line)

    # A daemon that reads the descriptor: nothing can end a blocked read, and a blocked `sys.stdin` would hold
    # a lock that the interpreter wants at exit.
    threading.Thread(target=read_lines, args=(hand_over,), name="pie-stdin", daemon=True).start()
    line: str | None = ""
    while line is not None:
        line = await lines.get()
        room.release()
        if not await post(job, line or ""):
            return


def read_lines(hand_over: Callable[[str | None], None]) -> None:
    """Lines without their ends, then None."""
    pending = b""
    try:
        while chunk := os.read(STDIN, CHUNK):
            *complete, pending = (pending + chunk).split(b"\n")
            for line in complete:
                hand_over(line.decode(errors="replace"))
        if pending:
            hand_over(pending.decode(errors="replace"))
        hand_over(None)
    except (OSError, RuntimeError):
        return  # the input went away, or the loop did


async def post(job: Job, line: str) -> bool:
    """Waits while the program's mailbox is full. False when it takes no messages any more."""
    while True:
        try:
            await job.post(line)
        except LimitExceeded:
            await asyncio.sleep(RETRY_SECONDS)
        except PieError:
            return False
        else:
            return True
