"""fork-and-join"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inferlet.testing import run

PROGRAM = Path(__file__).with_name("fork_and_join.py")
PROMPT = "abcdefghijklmnopqrstuvwxyz" * 10


def test_each_branch_has_its_own_continuation() -> None:
    lines = run(PROGRAM, ["--prompt", "abc", "--branches", "4"]).text.splitlines()
    assert [line[:6] for line in lines] == ["1: abc", "2: abc", "3: abc", "4: abc"]
    assert len({line[6:] for line in lines}) == 4


def test_greedy_branches_agree() -> None:
    lines = run(PROGRAM, ["--prompt", "abc", "--temperature", "0", "--max-tokens", "3"]).text.splitlines()
    assert {line[3:] for line in lines} == {"abcdef"}


def test_the_prompt_is_computed_once() -> None:
    calls = run(PROGRAM, ["--prompt", PROMPT, "--branches", "8", "--max-tokens", "1"]).host.calls
    assert calls.count("fork_kvpage") == 8
    assert calls.count("forward") == 2 + 8


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_greedy_branches_agree(run_for_real: Callable[..., str]) -> None:
    args = ("--prompt", "The sea is", "--temperature", "0", "--max-tokens", "6", "--branches", "2")
    first, second = run_for_real("fork-and-join", *args).splitlines()
    assert first[3:] == second[3:]
