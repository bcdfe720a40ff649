"""The verbs that talk to a server, against the real server in front of scripted programs."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pie.cli.app import app
from pie.cli.failures import one_line_failures
from pie.cli.run import Order
from pie.cli.run_there import run_there
from pie.client import AsyncClient, RequestRefused
from pie.core.errors import InvalidArgument, Overloaded
from pie.testing.serving import Served


async def invoke(served: Served, *args: str) -> Any:
    """In a thread: the server runs on this loop."""
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, [*args, "--server", served.url]))


async def test_ps_lists_what_runs_and_with_all_what_has_ended(served: Served) -> None:
    async with AsyncClient(served.url) as client:
        running = await client.launch("forever")
        ended = await client.launch("hello")
        await ended.result()
        listed = json.loads((await invoke(served, "ps", "--json")).output)
        assert [row["id"] for row in listed] == [running.id]
        both = json.loads((await invoke(served, "ps", "--all", "--json")).output)
        assert {row["id"] for row in both} == {running.id, ended.id}
        table = (await invoke(served, "ps", "-a")).output
        assert "forever" in table
        assert "finished" in table


async def test_cancel_ends_programs(served: Served) -> None:
    async with AsyncClient(served.url) as client:
        first, second = await client.launch("forever"), await client.launch("echo")
        assert (await invoke(served, "cancel", first.id, second.id)).exit_code == 0
        await served.application.instance(first.id).wait()
        await served.application.instance(second.id).wait()


async def test_an_id_that_nobody_has_is_refused(served: Served) -> None:
    for verb in ("cancel", "logs", "trace"):
        result = await invoke(served, verb, "nobody")
        assert isinstance(result.exception, RequestRefused)


async def test_logs_keep_the_two_streams_apart(served: Served) -> None:
    async with AsyncClient(served.url) as client:
        running = await client.launch("echo")
        instance = served.application.instance(running.id)
        instance.log("out\n")
        instance.log("err\n", "stderr")
        result = await invoke(served, "logs", running.id)
        assert (result.stdout, result.stderr) == ("out\n", "err\n")
        as_json = json.loads((await invoke(served, "logs", running.id, "--json")).output)
        assert [piece["stream"] for piece in as_json] == ["stdout", "stderr"]


async def test_trace_writes_a_timeline_to_a_file_or_to_stdout(served: Served, tmp_path: Path) -> None:
    async with AsyncClient(served.url) as client:
        running = await client.launch("forever")
        printed = await invoke(served, "trace", running.id)
        assert json.loads(printed.stdout)["traceEvents"][0]["name"] == "runs"
        file = tmp_path / "timeline.json"
        written = await invoke(served, "trace", running.id, "--output", str(file))
        assert json.loads(file.read_text()) == json.loads(printed.stdout)
        assert written.stdout == ""
        assert "1 spans" in written.stderr
        nowhere = await invoke(served, "trace", running.id, "-o", str(tmp_path / "no" / "timeline.json"))
        assert isinstance(nowhere.exception, InvalidArgument)


async def test_run_with_a_server_writes_the_timeline_when_the_program_has_ended(
    served: Served, tmp_path: Path
) -> None:
    file = tmp_path / "timeline.json"
    asked = replace(order("fail"), trace=file)
    assert await run_there(asked, served.url, None) == 1
    assert json.loads(file.read_text())["otherData"] == {"program": "fail"}


def order(program: str, *args: str, **limits: float) -> Order:
    return Order(program, args, limits, read_input=False)


async def test_run_with_a_server_shows_what_the_program_says(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_there(order("hello", "--n", "1", memory_mib=64, cpu_seconds=1), served.url, None) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("hello\ndone\n", "greeting\n")
    launch = served.application.instances()[0].launch
    assert (launch.args, launch.limits.memory_bytes, launch.limits.cpu_seconds) == (("--n", "1"), 64 << 20, 1)


async def test_run_with_a_server_gives_exit_code_1_for_a_failed_program(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_there(order("fail"), served.url, None) == 1
    out, err = capsys.readouterr()
    assert out == "before\n"
    assert "Traceback" in err


async def test_a_stopped_run_cancels_the_program_on_the_server(served: Served) -> None:
    task = asyncio.create_task(run_there(order("forever"), served.url, None))
    async with AsyncClient(served.url) as client:
        while not (rows := await client.instances()):
            pass
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.instances())[0]["state"] == "cancelled"
        assert rows


async def test_run_says_in_one_line_what_to_do_where_there_is_no_room(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.application.refusal = Overloaded("2 programs run, as many as may: try again in 7 s", 7)
    with pytest.raises(SystemExit) as left, one_line_failures():
        await run_there(Order("hello", (), {}, False), served.url, None)
    assert left.value.code == 1
    assert capsys.readouterr().err == ("pie: 2 programs run, as many as may: try again in 7 s\n")
