"""`pie model` on the command line: what it prints, where, and with which exit code."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pie.cli.app import app
from pie.cli.failures import one_line_failures


@dataclass(frozen=True)
class Outcome:
    code: int | str | None
    stdout: str
    stderr: str


Pie = Callable[..., Outcome]


@pytest.fixture
def pie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pie:
    """Runs `pie model ...` with a home of its own."""
    monkeypatch.setenv("PIE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as ended, one_line_failures():
            app(prog_name="pie", args=["model", *map(str, arguments)])
        captured = capsys.readouterr()
        return Outcome(ended.value.code, captured.out, captured.err)

    return run


def test_a_model_is_pulled_listed_shown_and_removed(pie: Pie, tiny_gguf: Path) -> None:
    pulled = pie("pull", tiny_gguf, "--name", "mine")
    assert pulled.code == 0
    assert "mine:" in pulled.stdout and "not copied" in pulled.stdout
    assert "mine" in pie("list").stdout
    assert "2 layers" in pie("show", "mine").stdout
    assert pie("show", "mine", "--verify").code == 0
    assert "removed" in pie("rm", "mine").stdout
    assert pie("list").stdout == ""


def test_listings_are_json_where_asked(pie: Pie, tiny_folder: Path) -> None:
    assert json.loads(pie("list", "--json").stdout) == []
    pie("pull", tiny_folder)
    shown = json.loads(pie("show", "tiny-llama", "--json").stdout)
    assert json.loads(pie("list", "--json").stdout) == [shown]
    assert shown["name"] == "tiny-llama" and shown["config"]["layers"] == 2


def test_a_damaged_model_is_listed_with_its_problem(pie: Pie, tmp_path: Path, tiny_folder: Path) -> None:
    pie("pull", tiny_folder)
    (tmp_path / "home" / "models" / "tiny-llama" / "manifest.json").write_text("{")
    listed = pie("list")
    assert listed.code == 0 and "damaged" in listed.stderr
    assert "damaged" in json.loads(pie("list", "--json").stdout)[0]["problem"]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["show", "nothing"], 1, "no model 'nothing'"),
        (["rm", "nothing"], 1, "no model 'nothing'"),
        (["pull", "./nothing.gguf"], 1, "no file or folder"),
        (["pull", "org/name"], 2, "did you mean hf:org/name?"),
        (["pull", "--nonsense"], 2, "No such option"),
    ],
)
def test_mistakes_end_with_a_code_and_a_reason(
    pie: Pie, arguments: list[str], code: int, complaint: str
) -> None:
    outcome = pie(*arguments)
    assert outcome.code == code
    assert complaint in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("verb", ["pull", "list", "show", "rm"])
def test_every_verb_has_help_with_an_example(pie: Pie, verb: str) -> None:
    outcome = pie(verb, "--help")
    assert outcome.code == 0
    assert f"pie model {verb}" in outcome.stdout
