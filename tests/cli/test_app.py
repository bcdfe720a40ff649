"""The command as a whole: help, verbs, versions, interpreters."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pie import __version__
from pie.cli import main
from pie.cli.app import VERBS, app

Pie = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("numpy", "wasmtime", "torch", "starlette", "uvicorn", "httpx", "pydantic", "websockets")


def test_help_names_every_verb_and_imports_nothing_heavy(pie: Pie) -> None:
    text = pie("--help").stdout
    assert all(f" {verb} " in text for verb in VERBS)
    script = (
        "import sys; sys.argv = ['pie', '--help']\n"
        "from pie.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"found = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_teaches_by_example(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0, result.output
    if verb != "model":  # a group of verbs; the examples stand with each of them
        assert "Examples" in result.output
        assert f"pie {verb}" in result.output


def test_the_listed_help_of_a_verb_is_not_a_promise_of_its_own() -> None:
    for name, verb in VERBS.items():
        assert isinstance(importlib.import_module(verb.module).app, typer.Typer), name


def test_a_mistyped_verb_gets_a_suggestion_and_exit_code_2() -> None:
    result = CliRunner().invoke(app, ["rum"])
    assert result.exit_code == 2
    assert "Did you mean 'run'?" in result.output


def test_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"pie {__version__}\n"


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 1), (3, 14, 0)])
def test_a_wrong_python_gets_one_line(version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert "needs Python 3.11 to 3.13, this is" in str(end.value.code)
    assert "\n" not in str(end.value.code)


def test_the_entry_module_parses_on_old_pythons() -> None:
    """No syntax newer than 3.0 stands in it: no annotations of variables, no f-strings, no walrus."""
    assert main.__file__ is not None
    text = Path(main.__file__).read_text(encoding="utf-8")
    for newer in ('f"', "f'", ":=", "match ", " | "):
        assert newer not in text


def test_a_mistake_of_the_operator_is_one_line_without_a_traceback(pie: Pie) -> None:
    done = pie("ps", "--server", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr == "pie: no server at http://127.0.0.1:9: start one with `pie serve`\n"
    assert "Traceback" in pie("ps", "--server", "http://127.0.0.1:9", PIE_DEBUG="1").stderr


def test_a_wrong_setting_is_a_usage_error_in_one_line(pie: Pie) -> None:
    done = pie("doctor", PIE_PORT="many")
    assert done.returncode == 2
    assert done.stderr.startswith("pie: setting port = 'many': ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pagez = 3", "pie: pie.toml has an unknown setting pagez: did you mean pages?\n"),
        ("pages = ", "pie: pie.toml does not parse: Invalid value (at end of document)\n"),
        ("pages = 0", "pie: setting pages = 0: Input should be greater than or equal to 1\n"),
    ],
)
def test_a_mistake_in_the_settings_file_is_told_in_one_line(
    pie: Pie, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "pie.toml").write_text(text)
    for verb in (("doctor",), ("model", "list")):
        done = pie(*verb)
        assert (done.returncode, done.stderr) == (2, told)
