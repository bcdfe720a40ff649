"""Ctrl-C once stops gently, twice at once; SIGTERM ends with success."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from pie.cli.failures import Interrupted
from pie.cli.loop import Terminated, run_async


async def work_until_signal(number: int, told: list[str]) -> None:
    try:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        told.append("cleaned up")


def test_the_result_of_the_work_is_handed_back() -> None:
    async def work() -> int:
        return 7

    assert run_async(work()) == 7


def test_errors_of_the_work_pass_through() -> None:
    async def work() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_async(work())


@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)])
def test_a_signal_cancels_the_work_which_cleans_up(number: int, ending: type[BaseException]) -> None:
    told: list[str] = []
    before = signal.getsignal(number)
    with pytest.raises(ending):
        run_async(work_until_signal(number, told))
    assert told == ["cleaned up"]
    assert signal.getsignal(number) is before


def test_a_signal_that_a_scripts_background_had_ignored_is_heard() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Interrupted):
            run_async(work_until_signal(signal.SIGINT, []))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_signal_ends_the_process_although_the_clean_up_hangs() -> None:
    script = """
import asyncio, os, signal
from pie.cli.loop import run_async

async def work():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass

run_async(work())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr
