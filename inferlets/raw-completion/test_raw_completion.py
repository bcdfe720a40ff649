"""raw-completion"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inferlet.testing import run, scripted

PROGRAM = Path(__file__).with_name("raw_completion.py")
LIBRARY = Path(__file__).parents[1] / "text-completion" / "text_completion.py"


@pytest.mark.parametrize("prompt", ["a", "abcdefghijklmno", "abcdefghijklmnop", "abcdefghijklmnopq" * 3])
def test_it_says_what_the_library_says(prompt: str) -> None:
    args = ["--prompt", prompt, "--max-tokens", "40"]
    assert run(PROGRAM, args).text == run(LIBRARY, args).text


def test_it_ends_when_the_model_ends() -> None:
    assert run(PROGRAM, ["--prompt", "Hi"], answer=scripted({"Hi": " there"})).text == " there"


def test_it_gives_its_pages_back() -> None:
    host = run(PROGRAM, ["--prompt", "abc"]).host
    assert host.pages == host.embs == set()


def test_its_loop_is_short() -> None:
    body = PROGRAM.read_text().partition("    for ")[2].partition("\n\n")[0]
    assert body.count("\n") <= 30


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_it_says_what_the_library_says(run_for_real: Callable[..., str]) -> None:
    args = ("--prompt", "The capital of France is", "--max-tokens", "8")
    assert run_for_real("raw-completion", *args) == run_for_real("text-completion", *args)
