"""The runner guest: a Python program's text in, its result out.

Built into a component by componentize-py, which imports this module and then takes a snapshot of the
interpreter: what is imported here is what a program can import, since a sandbox has no files.
"""

import gc
import random
import sys
from typing import Any

import heap
import immortals
import standard_library
import wit_world
from componentize_py_types import Err
from wit_world.imports import (
    allocate,
    constrain,
    forward,
    futures,
    http,
    input_image,
    input_text,
    introspect,
    output_text,
    runtime,
    sample,
    score,
    source,
    spawning,
    store,
    tokenize,
    topics,
)

from inferlet import Host, bind
from inferlet.runner import ProgramFailed, rehearse, run_program
from inferlet.snapshot import warm_up

MOST_RECURSION = 6_000

seed = random.seed


def _seed_later(*arguments: Any) -> None:
    """componentize-py seeds `random` when a guest starts, with ten host calls; `run_program` needs one."""
    random.seed = seed
    if arguments:
        seed(*arguments)


def _set_recursion_limit(limit: int) -> None:
    """Deeper than this the sandbox's stack ends first, and nobody could say on which line."""
    set_recursion_limit(min(limit, MOST_RECURSION))


set_recursion_limit = sys.setrecursionlimit


class WitWorld(wit_world.WitWorld):
    """The exports of the world `runner`."""

    def run(self) -> str:
        program = source.get_program()
        if not program.first_line:
            rehearse(program, runtime.get_arg())
            program = source.get_program()
        try:
            return run_program(program, runtime.get_arg(), source.note_loop)
        except ProgramFailed as failure:
            raise Err(str(failure)) from None


standard_library.load()
warm_up()
bind(Host(
    futures=futures,
    runtime=runtime,
    allocate=allocate,
    forward=forward,
    input_text=input_text,
    tokenize=tokenize,
    output_text=output_text,
    sample=sample,
    constrain=constrain,
    score=score,
    introspect=introspect,
    input_image=input_image,
    http=http,
    topics=topics,
    spawning=spawning,
    store=store,
    error=Err,
))
sys.setrecursionlimit = _set_recursion_limit
objects = immortals.addresses()
filling = heap.fill_holes()
gc.freeze()
random.seed = _seed_later  # the last thing before the snapshot: componentize-py takes it from here
