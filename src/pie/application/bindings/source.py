"""`pie:inferlet/source`: the program's text for the runner guest."""

from pie.application.guest import Guest
from pie.application.hostcall import suspends


@suspends
def get_program(guest: Guest) -> object:
    return guest.next_program()


def note_loop(guest: Guest, line: int) -> None:
    guest.loop_line = line


FUNCTIONS = (get_program, note_loop)
