"""Types of a program, checked by mypy with the library's own annotations, where mypy is installed."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from pie.cli.problems import Problem

HOW = "types were not checked, because mypy is not installed: pip install 'pie-llm[check]'"
OURS = ("import-not-found", "import-untyped", "top-level-await")
"""What is checked elsewhere, or fine in a program."""
SECONDS = 300


def has_mypy() -> bool:
    return find_spec("mypy") is not None


def type_problems(path: Path, cache: Path) -> list[Problem]:
    """What mypy says about one program, in order of lines. Functions without annotations are checked too."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file=",
            "--output=json",
            "--check-untyped-defs",
            "--no-error-summary",
            *(f"--disable-error-code={code}" for code in OURS),
            f"--cache-dir={cache}",
            "--",
            str(path),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode > 1 or (done.returncode and not lines):
        said = (done.stderr or done.stdout).strip().splitlines()
        return [Problem("types", 0, f"mypy failed: {said[-1] if said else done.returncode}")]
    return [_problem(json.loads(line)) for line in lines]


def _problem(found: dict[str, str | int]) -> Problem:
    return Problem("types", int(found["line"]), str(found["message"]))
