"""`pie new` writes a program that works."""

import ast
from pathlib import Path

import pytest

from pie.cli.new import TEMPLATES, new
from pie.core.errors import InvalidArgument, WrongState


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_folder_holds_a_program_that_parses() -> None:
    new("my-robot")
    program = Path("my-robot/my_robot.py").read_text(encoding="utf-8")
    assert [node.name for node in ast.parse(program).body if isinstance(node, ast.AsyncFunctionDef)]
    assert "$" not in program
    written = [path for path in Path("my-robot").rglob("*") if path.is_file()]
    assert len(written) == len([path for path in TEMPLATES.rglob("*") if path.is_file()])


def test_an_existing_folder_is_never_touched() -> None:
    Path("robot").mkdir()
    with pytest.raises(WrongState, match="exists already"):
        new("robot")
    assert not list(Path("robot").iterdir())


@pytest.mark.parametrize("name", ["", "../up", "/abs", "Robot", "1st", "a b", "class", "a--b", "-a"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="no name for a program"):
        new(name)
