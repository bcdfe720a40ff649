import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pie.testing.serving import Served, serve_scripts

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve_scripts() as served:
        yield served


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of the tests, but with a home of its own, and no server set."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PIE_")}
    return mine | {"PIE_HOME": str(tmp_path / "home"), "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture
def pie(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in a process of its own."""

    def run(*args: str, input: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pie.cli.main", *args]
        return subprocess.run(
            command,
            input=input,
            capture_output=True,
            text=True,
            env=environment | more,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )

    return run
