"""Makes the interpreter ready to be snapshotted: what every program needs has run before, so that a fresh
sandbox finds it warm (a third of a program's start, measured).

Called once, while the runner guest is built. Nothing here runs in a program.
"""

import gc
import linecache
import sys

from inferlet import runner
from inferlet.loop import EventLoop
from inferlet.testing import SourceText, run

WARM_UP_RUNS = 40
"""The interpreter specialises a function's code after a few dozen calls; done here, it is not done (and no
page is written for it) in every program again."""

_ASYNC = """
from inferlet import Context, send

async def main(prompt: str = "ab", max_tokens: int = 3, temperature: float = 0.0):
    with Context() as context:
        context.fill(prompt)
        send(await context.generate(max_tokens))
        async for piece in context.stream(2):
            print(piece)
    return prompt
"""
_PLAIN = "def main():\n    return 'warm'\n"


def warm_up() -> None:
    """Runs programs on the fake host, then freezes what there is. Import what programs may need before it,
    bind the real host after it."""
    for _ in range(WARM_UP_RUNS):
        run(SourceText(_ASYNC), ["--max-tokens", "4"])
        run(SourceText(_PLAIN))
    runner.ready_loops.append(EventLoop())
    sys.modules.pop(runner.MODULE_NAME, None)
    linecache.clearcache()
    gc.collect()
    gc.freeze()  # a later collection does not look at (and so write to) what is here now
