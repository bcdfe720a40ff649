"""Runs a standard inferlet the way a user does: `pie run NAME -- ARGS`, with the model and the sandbox."""

import subprocess
import sys
from collections.abc import Callable

import pytest

RunForReal = Callable[..., str]
SECONDS = 300


@pytest.fixture
def run_for_real() -> RunForReal:
    """A function (name, arguments, input) that gives what the program wrote to standard output."""
    return _run


def _run(name: str, *args: str, lines: str = "") -> str:
    command = [sys.executable, "-m", "pie.cli.main", "run", name, "--", *args]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
