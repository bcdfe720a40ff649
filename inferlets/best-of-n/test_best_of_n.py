"""best-of-n"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from inferlet.testing import run

PROGRAM = Path(__file__).with_name("best_of_n.py")
QUESTION = b"Is this a correct answer?"


def judge(tokens: Sequence[int]) -> dict[int, float]:
    """A model that says a, b or c, and finds c best."""
    text = bytes(token for token in tokens if token < 256)
    said, asked, _ = text.partition(QUESTION)
    if not asked:
        return {ord("a"): 0.4, ord("b"): 0.3, ord("c"): 0.3}
    sure = said.count(b"c\n\n")
    return {ord(" "): 0.9, ord("y"): 0.1 + 0.7 * sure, ord("n"): 0.2} | dict.fromkeys(b"eso", 0.1)


def test_the_best_answer_wins() -> None:
    assert run(PROGRAM, ["--n", "8", "--max-tokens", "1"], answer=judge).text == "c"


def test_the_question_is_computed_once() -> None:
    host = run(PROGRAM, ["--question", "Why? " * 60, "--max-tokens", "1"]).host
    assert host.calls.count("fork_kvpage") == 4
    assert host.pages == host.embs == set()


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_it_answers(run_for_real: Callable[..., str]) -> None:
    assert len(run_for_real("best-of-n", "--n", "2", "--max-tokens", "16").split()) > 3
