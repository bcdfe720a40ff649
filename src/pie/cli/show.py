"""A program's events on the terminal: what it sends and returns to stdout, what it logs to stderr."""

import asyncio
import sys
from typing import TextIO

from pie.cli.failures import FAILED, USAGE
from pie.cli.job import Job
from pie.cli.keyboard import forward_lines
from pie.core.events import Blob, Event, Failed, Finished, Log, Message

CANCEL_SECONDS = 3


class Printer:
    """Knows whether the last line on stdout is finished."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._open_line = False

    def show(self, event: Event) -> None:
        match event:
            case Message(text):
                self._write(text)
            case Blob(data):
                self._out.flush()
                self._out.buffer.write(data)
                self._out.flush()
            case Log(_, text):
                self._err.write(text)
                self._err.flush()
            case Finished(result):
                self._finish(result)
            case Failed():
                self.end_line()
                self._err.write(failure_text(event))
                self._err.flush()

    def _finish(self, result: str) -> None:
        if result:
            self.end_line()
            self._write(result)
        self.end_line()

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        self._open_line = not text.endswith("\n") if text else self._open_line

    def end_line(self) -> None:
        if self._open_line:
            self._write("\n")


def failure_text(failed: Failed) -> str:
    """The traceback where there is one; it ends with the message."""
    if failed.traceback.strip():
        return failed.traceback.rstrip() + "\n"
    return failed.message.rstrip() + "\n" if is_usage(failed) else f"pie: {failed.message}\n"


def is_usage(failed: Failed) -> bool:
    """The program's options were wrong; the runner begins such messages like any command would."""
    return failed.message.startswith("usage:")


async def show_job(job: Job, read_input: bool) -> int:
    """Until it ends; gives the exit code. When cancelled (Ctrl-C), so is the program, and its end awaited."""
    printer = Printer(sys.stdout, sys.stderr)
    typing = asyncio.create_task(forward_lines(job)) if read_input else None
    try:
        return await show_events(job, printer)
    except asyncio.CancelledError:
        printer.end_line()
        await cancel(job)
        raise
    except OSError:  # nobody reads our output any more
        await cancel(job)
        raise
    finally:
        if typing is not None:
            typing.cancel()


async def show_events(job: Job, printer: Printer) -> int:
    async for event in job.events():
        printer.show(event)
        if isinstance(event, Failed):
            return USAGE if is_usage(event) else FAILED
    return 0


async def cancel(job: Job) -> None:
    await job.cancel()
    async with asyncio.timeout(CANCEL_SECONDS):
        async for _ in job.events():
            pass
