"""What a program's events look like on the terminal."""

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import AsyncIterator

import pytest

from pie.cli.show import Printer, show_job
from pie.core.events import Blob, Event, Failed, Finished, Log, Message, Started


class Job:
    """Tells its events; without a last one it runs until it is cancelled."""

    def __init__(self, *events: Event) -> None:
        self.coming = list(events)
        self.shown = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def events(self) -> AsyncIterator[Event]:
        for event in self.coming:
            yield event
            if isinstance(event, Finished | Failed):
                return
        self.coming = []
        self.shown.set()
        await self.cancelled.wait()
        yield Failed("cancelled", "cancelled")

    async def post(self, line: str) -> None:
        raise NotImplementedError(line)

    async def cancel(self) -> None:
        self.cancelled.set()


def printed(*events: Event) -> tuple[str, str]:
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    printer = Printer(out, err)
    for event in events:
        printer.show(event)
    out.flush()
    return raw.getvalue().decode(), err.getvalue()


@pytest.mark.parametrize(
    ("events", "out"),
    [
        ((Started("i"), Message("a"), Message(" b"), Finished("")), "a b\n"),
        ((Message("line\n"), Finished("")), "line\n"),
        ((Finished("5"),), "5\n"),
        ((Finished(""),), ""),
        ((Message("a"), Finished("5")), "a\n5\n"),
        ((Message("a\n"), Finished("5\n")), "a\n5\n"),
        ((Message("a"), Blob(b"\n\xc3\xa4"), Finished("")), "a\nä\n"),
        ((Message(""), Finished("")), ""),
    ],
)
def test_messages_come_verbatim_then_the_result_and_the_last_line_is_ended(
    events: tuple[Event, ...], out: str
) -> None:
    assert printed(*events) == (out, "")


def test_what_the_program_prints_goes_to_standard_error() -> None:
    assert printed(Log("stdout", "one\n"), Log("stderr", "two")) == ("", "one\ntwo")


def test_a_failure_shows_the_traceback_or_the_message_alone() -> None:
    assert printed(Message("a"), Failed("error", "m", "Traceback...\nm\n")) == ("a\n", "Traceback...\nm\n")
    assert printed(Failed("limit", "out of memory")) == ("", "pie: out of memory\n")
    assert printed(Failed("error", "usage: x\nx: unknown option")) == ("", "usage: x\nx: unknown option\n")


@pytest.mark.parametrize(
    ("last", "code"), [(Finished("x"), 0), (Failed("error", "no"), 1), (Failed("error", "usage: x"), 2)]
)
async def test_the_exit_code_says_how_it_ended(last: Event, code: int) -> None:
    assert await show_job(Job(last), read_input=False) == code


async def test_when_nobody_reads_our_output_the_program_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    job = Job(Message("a"))
    broken = io.TextIOWrapper(io.FileIO(write, "w"))
    monkeypatch.setattr(sys, "stdout", broken)
    with pytest.raises(BrokenPipeError):
        await show_job(job, read_input=False)
    with contextlib.suppress(BrokenPipeError):
        broken.close()
    assert job.cancelled.is_set()


async def test_when_we_are_cancelled_the_program_is_and_its_end_is_awaited() -> None:
    job = Job(Message("a"))
    task = asyncio.create_task(show_job(job, read_input=False))
    await job.shown.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert job.cancelled.is_set()
