"""speculative"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inferlet.testing import run, scripted

PROGRAM = Path(__file__).with_name("speculative.py")
TEXT = "the fox and the fox and the fox ran"
PARROT = scripted({"once more:\n\n": TEXT})


def test_it_says_what_it_says_without_guesses() -> None:
    outcome = run(PROGRAM, ["--text", TEXT], answer=PARROT)
    assert outcome.text.partition("\n[")[0] == TEXT


def test_a_forward_gives_more_than_one_token() -> None:
    words = run(PROGRAM, ["--text", TEXT], answer=PARROT).text.rpartition("[")[2].split()
    assert int(words[0]) == len(TEXT)
    assert int(words[3]) < len(TEXT) / 2


def test_the_same_seed_gives_the_same_text_with_a_sampler() -> None:
    def draw(seed: str) -> str:
        return run(PROGRAM, ["--text", "abc", "--temperature", "1", "--seed", seed]).text

    assert draw("1") == draw("1") != draw("2")


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_a_forward_gives_more_than_one_token(run_for_real: Callable[..., str]) -> None:
    words = run_for_real("speculative", "--max-tokens", "24").rpartition("[")[2].split()
    assert int(words[3]) < int(words[0])
