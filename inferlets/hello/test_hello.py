"""hello"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inferlet.testing import run

PROGRAM = Path(__file__).with_name("hello.py")


def test_it_greets_the_world() -> None:
    assert run(PROGRAM).messages == ["Hello, world!"]


def test_it_greets_by_name() -> None:
    assert run(PROGRAM, ["--name", "Ada"]).messages == ["Hello, Ada!"]


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_it_greets_by_name(run_for_real: Callable[..., str]) -> None:
    assert run_for_real("hello", "--name", "Ada") == "Hello, Ada!\n"
