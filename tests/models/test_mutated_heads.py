"""A thousand mutated heads of model files, each of which ends in an error that says what and where, or in a
model that is sound after all."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mutants import GGUF_WRONG, SAFETENSORS_WRONG, Mutant, gguf_mutants, safetensors_mutants

from pie.core.errors import BadModel
from pie.models.gguf_file import read_gguf
from pie.models.safetensors_file import read_safetensors
from pie.models.tiny import write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf

EACH = 500
LONGEST_MESSAGE = 2000
SECONDS = 120
LIST_FACTOR = 9
"""A byte of an array costs eight in a Python list, a number of four bytes costs 36."""
AN_ERROR_BYTES = 100_000
"""What raising and telling any error costs."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a process with little memory found in 500 mutants of each format."""
    folder = tmp_path_factory.mktemp("mutants")
    script = Path(__file__).with_name("read_mutants.py")
    command = [sys.executable, "-X", "faulthandler", str(script), str(folder), "4", str(EACH)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_thousand_are_read_in_little_memory_and_no_other_error_comes_of_it(
    outcomes: list[dict[str, Any]],
) -> None:
    assert len(outcomes) == 2 * EACH
    assert {outcome["kind"] for outcome in outcomes} > GGUF_WRONG.keys() | SAFETENSORS_WRONG.keys()
    assert [outcome for outcome in outcomes if outcome["error"] not in ("", "BadModel")] == []


def test_what_is_wrong_is_refused(outcomes: list[dict[str, Any]]) -> None:
    assert [outcome for outcome in outcomes if outcome["wrong"] and not outcome["error"]] == []


def test_each_error_names_the_file_and_says_what_to_do(outcomes: list[dict[str, Any]]) -> None:
    for outcome in outcomes:
        message = outcome["message"]
        if message:
            assert "bad.gguf" in message or "/model" in message, message
            assert "; try another copy" in message or "; give Pie" in message
            assert len(message) < LONGEST_MESSAGE
            assert message.isprintable(), message


def peak_while(look: Callable[[], object]) -> int:
    """Bytes that Python and numpy took at once."""
    tracemalloc.start()
    try:
        look()
    except BadModel:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def check_memory(mutants: Iterator[Mutant], path: Path, read: Callable[[Path], object]) -> None:
    for mutant in mutants:
        path.write_bytes(mutant.data)
        allowed = AN_ERROR_BYTES + LIST_FACTOR * len(mutant.data)
        assert peak_while(lambda: read(path)) <= allowed, mutant.kind


def test_reading_a_gguf_head_takes_no_more_memory_than_what_really_is_in_it(tmp_path: Path) -> None:
    sound = write_tiny_gguf(tmp_path / "sound.gguf")
    check_memory(gguf_mutants(sound, seed=5, count=100), tmp_path / "bad.gguf", read_gguf)


def test_reading_a_safetensors_header_takes_no_more_memory_than_what_really_is_in_it(tmp_path: Path) -> None:
    sound = write_tiny_llama(tmp_path / "model") / "model.safetensors"
    mutants = safetensors_mutants(sound, seed=5, count=100)
    check_memory(mutants, tmp_path / "bad.safetensors", read_safetensors)
