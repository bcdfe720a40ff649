"""A component joined with what it imports, ready to be instantiated."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Linked:
    """C pointers, and what keeps them alive."""

    linker: int
    component: int
    run: int
    """Index of the export `run`."""
    read_result: Callable[[int], tuple[bool, str]]
    alive: tuple[Any, ...]
