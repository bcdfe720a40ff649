"""The runner guest: a Python program's text in, its result out.

Built into a component by componentize-py, which imports this module and then takes a snapshot of the
interpreter: what is imported here is what a program can import, since a sandbox has no files.
"""

import gc

import wit_world
from componentize_py_types import Err
from pie_runner import standard_library, start
from wit_world.imports import allocate, forward, futures, input_text, output_text, runtime, source, tokenize

from inferlet import Host, bind

standard_library.load()
bind(Host(
    futures=futures,
    runtime=runtime,
    allocate=allocate,
    forward=forward,
    input_text=input_text,
    tokenize=tokenize,
    output_text=output_text,
    error=Err,
))


class WitWorld(wit_world.WitWorld):
    """The exports of the world `runner`."""

    def run(self) -> str:
        ended, text = start.run(runtime, source)
        if not ended:
            raise Err(text)
        return text


gc.collect()
gc.freeze()
