"""One process at a time: a lock that its owner's death releases."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pie.core.errors import Unavailable
from pie.core.progress import Progress

POLL_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 3600.0


@contextmanager
def locked(
    path: Path, owner: str, progress: Progress, longest_wait: float = LONGEST_WAIT_SECONDS
) -> Iterator[None]:
    """Holds the lock file at `path`. Raises `Unavailable` when `owner` keeps it for too long (seconds)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not try_lock(handle):
            with progress.start(f"Waiting for {owner}"):
                wait_for_lock(handle, owner, longest_wait)
        yield
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(handle: int, owner: str, longest_wait: float) -> None:
    deadline = time.monotonic() + longest_wait
    while not try_lock(handle):
        if time.monotonic() > deadline:
            raise Unavailable(f"{owner} has not ended for {longest_wait:,.0f} s; end it, then try again")
        time.sleep(POLL_SECONDS)
