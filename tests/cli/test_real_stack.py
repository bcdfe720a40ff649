"""The command on the real stack: driver, sandbox, default model."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.model, pytest.mark.wasm]

PIE = [sys.executable, "-m", "pie.cli.main"]


def pie(*args: str, input: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PIE, *args], input=input, capture_output=True, text=True, timeout=300, check=False
    )


@contextmanager
def started(*args: str) -> Iterator[subprocess.Popen[str]]:
    """In a session of its own, as on a terminal of its own: signals reach the whole group."""
    process = subprocess.Popen(
        [*PIE, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Reads standard error up to a line that matches."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"{pattern} never came: {seen}")


def group_is_gone(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


LOOP = """
print("looping")
while True:
    pass
"""


def test_a_program_of_ones_own_runs_and_its_errors_name_its_lines(tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text("def main(n: int):\n    print('log')\n    return 10 // n\n")
    done = pie("run", str(program), "--", "--n", "5")
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert "log\n" in done.stderr
    failed = pie("run", str(program), "--", "--n", "0")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert f'File "{program}", line 3, in main' in failed.stderr
    assert pie("run", str(program), "--", "--m", "0").returncode == 2


def test_a_conversation_on_standard_input_ends_with_it() -> None:
    done = pie("run", "chat", "--", "--max-tokens", "4", input="Hello!\n")
    assert done.returncode == 0
    assert done.stdout.strip()


def test_ctrl_c_stops_an_endless_loop_with_130_and_leaves_no_process(tmp_path: Path) -> None:
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    with started("run", str(program)) as process:
        until(process, "looping")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert group_is_gone(process.pid)


def test_a_server_serves_and_stops_with_an_answer_to_those_it_cancels(tmp_path: Path) -> None:
    program = tmp_path / "loop.py"
    program.write_text(LOOP)
    with started("serve", "--port", "0", "--grace-seconds", "0") as server:
        url = until(server, r"http://127\.0\.0\.1:\d+").group()
        done = pie("run", "hello", "--server", url)
        assert (done.returncode, done.stdout) == (0, "Hello, world!\n")
        with started("run", str(program), "--server", url) as run:
            until(run, "looping")
            listed = json.loads(pie("ps", "--json", "--server", url).stdout)
            assert [row["program"] for row in listed] == [str(program)]
            os.kill(server.pid, signal.SIGTERM)
            assert run.wait(timeout=30) == 1
            assert run.stderr is not None
            assert "shuts down" in run.stderr.read()
        assert server.wait(timeout=30) == 0
        assert group_is_gone(server.pid)


def test_a_new_program_works_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pie("new", "my-robot").returncode == 0
    done = pie("run", "my-robot/my_robot.py", "--", "--max-tokens", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
