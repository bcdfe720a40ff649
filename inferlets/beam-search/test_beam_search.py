"""beam-search"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from inferlet.testing import run

PROGRAM = Path(__file__).with_name("beam_search.py")
A, B, C = map(ord, "abc")


def misleading(tokens: Sequence[int]) -> dict[int, float]:
    """The likelier first token leads nowhere: "a" and then anything, or "b" and surely "c"."""
    return {ord("x"): {A: 0.6, B: 0.4}, A: {A: 0.4, B: 0.3, C: 0.3}, B: {C: 1.0}}.get(tokens[-1], {A: 1.0})


def best(width: int) -> str:
    args = ["--prompt", "x", "--width", str(width), "--max-tokens", "2"]
    return run(PROGRAM, args, answer=misleading).text.splitlines()[0]


def test_a_wider_beam_finds_what_greedy_decoding_misses() -> None:
    assert best(1) == "-1.427 'aa'"
    assert best(2) == "-0.916 'bc'"


def test_it_gives_its_pages_back() -> None:
    host = run(PROGRAM, ["--prompt", "abc" * 20]).host
    assert host.pages == host.embs == set()


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_the_first_beam_is_the_most_probable(run_for_real: Callable[..., str]) -> None:
    lines = run_for_real("beam-search", "--max-tokens", "4").splitlines()
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert "Paris" in lines[0]
