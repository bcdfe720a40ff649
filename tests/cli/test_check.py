"""`pie check`: problems, wishes and exit codes, without running anything."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pie.application.building import asks, parse
from pie.cli import check as verb
from pie.cli.check import check
from pie.cli.problems import Report
from pie.cli.types import HOW, type_problems

Pie = Callable[..., subprocess.CompletedProcess[str]]
BAD = '''"""Wrong in many ways."""
import numpy as np
import tkinter
import helper
try:
    import orjson
except ImportError:
    orjson = None

from inferlet import raw


async def main(*words):
    return await raw.http_get("https://api.example.org/v1")
'''


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Of a bad program, without its types."""
    monkeypatch.setattr(verb, "has_mypy", lambda: False)
    program = tmp_path / "bad.py"
    program.write_text(BAD)
    (tmp_path / "helper.py").write_text("")
    return check(program, tmp_path)


def test_imports_that_a_sandbox_lacks_are_named_with_line_and_remedy(report: Report) -> None:
    found = {problem.line: problem for problem in report.problems if problem.kind == "import"}
    assert {line: problem.message.split()[-1] for line, problem in found.items()} == {
        2: "numpy",
        3: "tkinter",
        4: "helper",
    }
    assert "--with numpy" in found[2].remedy
    assert "do without" in found[3].remedy
    assert "the folder's modules" in found[4].remedy


def test_a_main_that_no_option_can_fill_is_a_problem(report: Report) -> None:
    assert [problem.line for problem in report.problems if problem.kind == "main"] == [13]


def test_what_it_asks_for_is_told_with_hosts(report: Report) -> None:
    assert [(ask.what, ask.line, ask.hosts) for ask in report.asks] == [("network", 14, ("api.example.org",))]


def test_without_mypy_the_rest_is_checked_and_a_note_says_so(report: Report) -> None:
    assert report.notes == [HOW]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("from inferlet import raw\nraw.store_set('a', 'b')", ["store"]),
        ("from inferlet.raw import spawn as go\ngo(1)", ["spawn"]),
        ("import inferlet as i\ni.raw.broadcast('t', 'm')", ["topics"]),
        ("from inferlet import raw as r\nr.export_kvpage(0, [], 'n')", ["export"]),
        ("import inferlet.raw\ninferlet.raw.import_kvpage(0, 'n', [])", ["import"]),
        ("from inferlet import Context, send", []),
        ("http_get = 1\nclass A:\n    spawn = http_get", []),
    ],
)
def test_a_wish_is_seen_under_any_name(text: str, wanted: list[str]) -> None:
    assert [ask.what for ask in asks(parse(text, "x.py"))] == wanted


def test_types_are_those_of_the_library(tmp_path: Path) -> None:
    program = tmp_path / "typed.py"
    program.write_text("from inferlet import Context\n\nContext().generat(1)\nawait Context().flush()\n")
    found = type_problems(program, tmp_path / "cache")
    assert [(problem.kind, problem.line) for problem in found] == [("types", 3)]
    assert "generat" in found[0].message


def test_a_program_with_packages_of_its_own_is_sent_to_pie_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "has_mypy", lambda: False)
    program = tmp_path / "mine.py"
    program.write_text('# /// script\n# dependencies = ["humanize"]\n# ///\nimport humanize\n')
    report = check(program, tmp_path)
    assert report.problems == []
    assert "pie build" in report.notes[0]


def test_exit_codes_are_0_1_and_2_and_json_is_json(pie: Pie, tmp_path: Path) -> None:
    for name, text in {"good.py": "def main(n: int = 1):\n    return n\n", "bad.py": "def f(:\n"}.items():
        (tmp_path / name).write_text(text)
    done = pie("check", "good.py", "bad.py", "--json")
    good, bad = json.loads(done.stdout)
    assert (done.returncode, good["problems"], bad["problems"][0]["kind"]) == (1, [], "syntax")
    assert bad["problems"][0]["line"] == 1
    (tmp_path / "notes.txt").write_text("")
    assert pie("check", "notes.txt").returncode == 2
    assert pie("check").returncode == 2


def test_people_read_one_line_a_problem(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    verb.show([report])
    said = capsys.readouterr().out
    assert "bad.py: 4 problems" in said
    assert "line 2    a sandbox has no module numpy" in said
    assert "asks for  network (api.example.org), line 14" in said
