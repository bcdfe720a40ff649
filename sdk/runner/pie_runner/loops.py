"""Tells the server which loop a program has entered, so that it can name the line of an endless one.

Costs one call for each loop of the program's text, the first time it goes round.
"""

import sys
from collections.abc import Callable, Iterator
from types import CodeType

TOOL = sys.monitoring.OPTIMIZER_ID
JUMP = sys.monitoring.events.JUMP


def watch(code: CodeType, note: Callable[[int], None]) -> None:
    """Calls `note` with the line of each loop in `code`, once, when it goes round for the first time."""
    monitoring = sys.monitoring
    monitoring.use_tool_id(TOOL, "pie")

    def jumped(where: CodeType, offset: int, target: int) -> object:
        if target < offset:
            note(_line(where, target))
        return monitoring.DISABLE

    monitoring.register_callback(TOOL, JUMP, jumped)
    for each in _all_code(code):
        monitoring.set_local_events(TOOL, each, JUMP)


def _all_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_code(constant)


def _line(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line:
            return line
    return code.co_firstlineno
