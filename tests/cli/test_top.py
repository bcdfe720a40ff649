"""What `pie top` makes of two looks at a server, and how that looks."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pie.cli.app import app
from pie.cli.top import show
from pie.cli.top_sample import Sample, make_sample, median_range
from pie.cli.top_table import render, short
from pie.client import AsyncClient
from pie.client.errors import ServerNotRunning
from pie.core.errors import InvalidArgument
from pie.testing.serving import Served

MODEL = {
    "down": "", "tokens": 1000, "passes": 10, "driver_seconds": 1.0, "pass_seconds": 0.1,
    "batch_sizes": {"4": 10}, "queued_commands": 3, "passes_in_flight": 2, "suspended": 1,
    "pages": {"held": 800, "total": 4096, "swapped": 12, "free": 3296},
}  # fmt: skip


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"{number:016x}", "program": "a [bold] program with a very long name.py", "tenant": "default",
        "doing": "model", "tools": [], "pages": 17, "host_pages": 0, "tokens": 100, "cpu_seconds": 0.5,
        "started_at": 990.0,
    } | changes  # fmt: skip


def look(at: float, rows: list[dict[str, Any]], **model: Any) -> dict[str, Any]:
    counts = {"launched": 9, "ended": {"finished": 2, "error": 1}}
    return {"at": at, "programs": counts, "models": {"smollm2-135m-instruct": MODEL | model}, "rows": rows}


def text(sample: Sample, width: int, height: int | None, trouble: str = "") -> list[str]:
    console = Console(width=width, highlight=False, file=StringIO())
    console.print(render(sample, "http://127.0.0.1:8642", width, height, trouble))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_two_looks_become_rates() -> None:
    before = look(1000.0, [row(1)])
    later = {"tokens": 1500, "passes": 30, "driver_seconds": 1.4, "batch_sizes": {"4": 12, "32": 28}}
    after = look(1002.0, [row(1, tokens=180, cpu_seconds=1.5), row(2, started_at=1001.0, tokens=7)], **later)
    sample = make_sample(before, after)
    [model] = sample.models
    assert (model.tokens_per_second, model.passes_per_second) == (250, 10)
    assert model.pass_ms == pytest.approx(20)
    assert model.batch == "17-32"
    assert [(one.tokens_per_second, one.cpu_percent) for one in sample.programs] == [(40, 50), (7, 50)]
    assert (sample.states, sample.ended) == ({"model": 2}, 3)


def test_the_batch_is_the_range_in_which_the_median_lies() -> None:
    assert median_range({}) == median_range({8: 0}) == "-"
    assert median_range({1: 9, 64: 2}) == "1"
    assert median_range({1: 2, 2: 1, 8: 9}) == "5-8"


def test_numbers_stay_short() -> None:
    assert list(map(short, (0, 9999, 10_000, 123_456, 4_500_000))) == ["0", "9999", "10.0k", "123.5k", "4.5M"]


@pytest.mark.parametrize("width", [80, 120])
def test_a_thousand_programs_fit_the_terminal(width: int) -> None:
    doing = ["model", "tool", "suspended", "computing", "running", "starting", "waiting"]
    rows = [row(i, doing=doing[i % 7], tools=["http GET a.very.long.host.example.org"]) for i in range(1000)]
    lines = text(make_sample(look(1000, rows), look(1001, rows)), width, 24)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    assert "1,000 programs" in lines[0]
    assert re.search(r"and 98\d more", lines[-1])
    assert sum(line.startswith("0000") for line in lines) == 1000 - int(lines[-1].split()[2])
    assert len(text(make_sample(look(1000, rows), look(1001, rows)), width, None)) == 1000 + 6


def test_names_are_shown_as_they_are_and_the_whole_id() -> None:
    lines = text(make_sample(look(1000, [row(1)]), look(1001, [row(1)])), 120, 24)
    assert lines[-1].startswith("0000000000000001  a [bold] program")


@pytest.mark.parametrize("width", [80, 120])
def test_an_empty_server_says_what_to_do(width: int) -> None:
    lines = text(make_sample(look(1000, []), look(1001, [])), width, 24)
    assert "0 programs" in lines[0]
    assert "pie run --server" in lines[-1]


def test_trouble_is_told_above_what_was_seen_last() -> None:
    lines = text(make_sample(look(1000, [row(1)]), look(1000, [row(1)])), 80, 24, "no server at " + "x" * 100)
    assert lines[1].startswith("no server at")
    assert max(map(len, lines)) <= 80


async def test_once_prints_a_table_and_json_the_same_for_scripts(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    async with AsyncClient(served.url) as client:
        running = await client.launch("forever")
        await show(served.url, None, 0.01, once=False, as_json=True)
        printed = json.loads(capsys.readouterr().out)
        assert [one["id"] for one in printed["programs"]] == [running.id]
        assert printed["models"][0]["name"] == "scripted"
        await show(served.url, None, 0.01, once=True, as_json=False)
        assert running.id in capsys.readouterr().out
        with pytest.raises(InvalidArgument, match="no terminal"):
            await show(served.url, None, 0.01, once=False, as_json=False)


def test_a_server_that_is_not_there_is_an_error_that_says_so() -> None:
    result = CliRunner().invoke(app, ["top", "--once", "--server", "http://127.0.0.1:9"])
    assert isinstance(result.exception, ServerNotRunning)
