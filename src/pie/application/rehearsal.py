"""What a spare sandbox does before it is needed: it runs a small program, so that the memory that every
program writes to is its own by then, and waits for the real one.

A fresh sandbox shares its memory with the runner's snapshot, and the first write to each page copies it. With
some 200 pages that was most of a launch. The rehearsal touches nothing outside the sandbox: its calls end
here, and the runner clears away what it leaves behind.
"""

from typing import ClassVar

from pie.application.suspension import Suspension
from pie.core.errors import PieError
from pie.core.programs import Source

TEXT = '''
"""Touches what most programs need."""
import asyncio
from inferlet import Context, Model, send

async def main(text: str = "", number: int = 1):
    """Runs."""
    await asyncio.sleep(0)
    for _ in range(2):
        send(f"{text} {number}")
    print(text)
    return {"number": number}
'''
REHEARSAL = Source(TEXT, "rehearsal.py", first_line=0)
"""Line 0, which no launch can have, tells the runner what it is."""


class Vacancy:
    """Stands where the guest will be: `stage.guest` of a thread on which a spare gets ready."""

    trace: ClassVar[None] = None
    """Nobody looks at a rehearsal."""
    __slots__ = ("args", "doomed", "host_calls", "loop_line", "program", "rehearsed", "suspension")

    def __init__(self) -> None:
        self.suspension = Suspension()
        self.host_calls = 0
        self.program: Source | None = None
        """Set by the guest that moves in."""
        self.args = ("--text", "words", "--number", "2")
        self.loop_line = 0
        self.rehearsed = False
        self.doomed: PieError | None = None

    @property
    def waits(self) -> bool:
        """The rehearsal is over, and the sandbox waits for its program."""
        return self.suspension.waits

    def next_program(self) -> object:
        """The rehearsal, then (suspending) the program."""
        if self.rehearsed:
            return self.suspension.begin(lambda: self.program)
        self.rehearsed = True
        return REHEARSAL

    def move_in(self, program: Source | None) -> Suspension:
        """What the sandbox waits in, about to answer with the program."""
        self.program = program
        self.suspension.woken = True
        return self.suspension

    def milliseconds(self) -> int:
        """No time passes in a rehearsal."""
        return 0

    def send(self, message: object) -> None:
        """Nobody listens."""

    def log(self, stream: str, text: str) -> None:
        """Nobody reads."""

    def doom(self, why: PieError) -> None:
        self.doomed = why

    def broke(self, call: str, fault: BaseException) -> None:
        """The caller dooms it as well."""
