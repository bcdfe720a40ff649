"""Makes the interpreter ready to be snapshotted: what a program may import is imported, and what every
program needs has run before, so that a fresh sandbox finds it warm.

Called once, while the runner guest is built. Nothing here runs in a program.
"""

import gc
import importlib
import linecache
import sys

from inferlet import runner
from inferlet.testing import SourceText, run

MODULES = (
    "abc", "argparse", "array", "ast", "asyncio", "base64", "binascii", "bisect", "calendar", "cmath",
    "collections", "collections.abc", "colorsys", "contextlib", "contextvars", "copy", "csv", "dataclasses",
    "datetime", "decimal", "difflib", "email", "enum", "fnmatch", "fractions", "functools", "gc",
    "graphlib", "gzip", "hashlib", "heapq", "hmac", "html", "html.parser", "inspect", "io", "itertools",
    "json", "keyword", "logging", "math", "numbers", "operator", "pathlib", "pprint", "queue", "random",
    "re", "secrets", "shlex", "statistics", "string", "string.templatelib", "struct", "sys", "textwrap",
    "threading", "time", "timeit", "tokenize", "tomllib", "traceback", "types", "typing", "unicodedata",
    "urllib.parse", "uuid", "warnings", "weakref", "xml.etree.ElementTree", "zlib",
)
"""A program can import these. The sandbox has no files, so anything else is not there."""

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


def prepare() -> list[str]:
    """Imports, warms up and freezes. Bind the real host after it. Returns the modules that are missing."""
    missing = [name for name in MODULES if not _can_import(name)]
    for _ in range(WARM_UP_RUNS):
        run(SourceText(_ASYNC), ["--max-tokens", "4"])
        run(SourceText(_PLAIN))
    sys.modules.pop(runner.MODULE_NAME, None)
    linecache.clearcache()
    gc.collect()
    gc.freeze()  # a later collection does not look at (and so write to) what is here now
    return missing


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
