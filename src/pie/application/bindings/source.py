"""`pie:inferlet/source`: the program's text for the runner guest."""

from pie.application.guest import Guest
from pie.core.programs import Source

NOTHING = Source("")


def get_program(guest: Guest) -> Source:
    return guest.program or NOTHING


def note_loop(guest: Guest, line: int) -> None:
    guest.loop_line = line


FUNCTIONS = (get_program, note_loop)
