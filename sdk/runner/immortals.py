"""The objects of the snapshot, for the builder to make immortal.

Using an object counts its references, which writes to it: a program that only reads what the interpreter
imported would copy a page of memory for nearly every object it uses. Python does not count the references of
immortal objects, but cannot make an object immortal by itself. So the addresses of all objects are left in
memory, with a mark behind them, and who builds the runner sets their counters in the finished file
(`immortals.py` of the application layer).
"""

import gc
import sys
from array import array
from collections.abc import Iterator
from types import CodeType
from typing import Any

MARK = (0x6D6D6920, 0x6174726F, 0x736C6120, 0x74612065)
"""The words that stand behind the addresses and their number."""
ALIGNMENT = 8
"""Of objects."""
MEMORY_BYTES = 256 << 20
"""All objects lie below."""


def addresses() -> "array[int]":
    """Of everything that can be reached from modules. Keep what it returns: the builder looks for it.

    No object is made for this that would look as if it belonged to the snapshot.
    """
    found = array("I")
    seen = bytearray(MEMORY_BYTES // ALIGNMENT // 8)
    todo: list[Any] = [sys.modules]
    while todo:
        one = todo.pop()
        byte, bit = divmod(id(one) // ALIGNMENT, 8)
        if not seen[byte] >> bit & 1:
            seen[byte] |= 1 << bit
            found.append(id(one))
            todo += gc.get_referents(one)
            todo += _hidden(one)
    found.extend((len(found), *MARK))  # last, because a growing array moves and leaves copies behind
    return found


def _hidden(one: Any) -> Iterator[Any]:
    """What the collector does not see, because it cannot be part of a cycle."""
    yield type(one)
    if type(one) is CodeType:
        yield from (one.co_consts, one.co_names, one.co_filename, one.co_name, one.co_qualname)
        yield from (one.co_linetable, one.co_exceptiontable, *one.co_consts, *one.co_names)
    elif isinstance(one, dict):
        yield from one
