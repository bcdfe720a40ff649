"""text-completion"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inferlet.testing import run, scripted

PROGRAM = Path(__file__).with_name("text_completion.py")
STORY = scripted({"Once upon a time": ", there was a wörd."})


def test_it_continues_the_text_until_the_model_ends() -> None:
    assert run(PROGRAM, ["--prompt", "Once upon a time"], answer=STORY).text == ", there was a wörd."


def test_it_sends_each_piece_as_it_comes() -> None:
    outcome = run(PROGRAM, ["--prompt", "Once upon a time", "--max-tokens", "4"], answer=STORY)
    assert outcome.messages == [",", " ", "t", "h"]


def test_the_same_seed_gives_the_same_text() -> None:
    def draw(seed: str) -> str:
        return run(PROGRAM, ["--prompt", "a", "--temperature", "1", "--seed", seed]).text

    assert draw("1") == draw("1") != draw("2")


def test_it_gives_its_pages_back() -> None:
    host = run(PROGRAM, ["--prompt", "Once upon a time"]).host
    assert host.pages == host.embs == set()


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_it_continues_the_text(run_for_real: Callable[..., str]) -> None:
    text = run_for_real("text-completion", "--prompt", "Once upon a time", "--max-tokens", "8")
    assert len(text.split()) > 3
