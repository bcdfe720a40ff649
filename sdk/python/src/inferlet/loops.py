"""Tells the host on which line a program enters a loop, so that an endless one can be named."""

import sys
import types
from collections.abc import Callable
from typing import Any

NoteLoop = Callable[[int], None]


def watch_loops(code: types.CodeType, note_loop: NoteLoop) -> None:
    """Calls `note_loop(line)` the first time that a loop of `code`, or of a function in it, goes round.

    Costs nothing after that first time. Python before 3.12 cannot do this; it is only there outside the
    sandbox.
    """
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        return
    tool, jump = monitoring.OPTIMIZER_ID, monitoring.events.JUMP

    def jumped(code: types.CodeType, origin: int, target: int) -> Any:
        if target <= origin:  # the same where the loop has no body
            note_loop(_first_line(code, target, origin))
        return monitoring.DISABLE

    if monitoring.get_tool(tool) is None:
        monitoring.use_tool_id(tool, "inferlet")
    monitoring.register_callback(tool, jump, jumped)
    _watch(code, lambda each: monitoring.set_local_events(tool, each, jump))


def _watch(code: types.CodeType, watch: Callable[[types.CodeType], None]) -> None:
    watch(code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _watch(constant, watch)


def _first_line(code: types.CodeType, first: int, last: int) -> int:
    """The smallest line of some bytecode: of a loop's, that is its head, wherever its test stands."""
    lines = [line for start, end, line in code.co_lines() if line and start <= last and end > first]
    return min(lines, default=code.co_firstlineno)
