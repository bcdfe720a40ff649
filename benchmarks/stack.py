"""What the benchmarks run on: the real stack in this process, or a server in another."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvloop

from pie.core.events import Failed, Finished
from pie.launch import Stack, open_stack
from pie.settings import Settings

READY_SECONDS = 120.0


@contextlib.asynccontextmanager
async def local_stack(**settings: Any) -> AsyncIterator[Stack]:
    async with open_stack(Settings(**settings)) as stack:
        yield stack


def run(main: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def result_of(ended: Finished | Failed) -> str:
    if isinstance(ended, Failed):
        raise RuntimeError(f"{ended.message}\n{ended.traceback}")
    return ended.result


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def server(*options: str) -> Iterator[str]:
    """`pie serve` in a process of its own; gives its URL."""
    port = free_port()
    command = [sys.executable, "-m", "pie.cli.main", "serve", "--port", str(port), *options]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"{url}/readyz", timeout=1).status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the server did not get ready")
