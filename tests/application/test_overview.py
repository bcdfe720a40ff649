"""What `pie top` is told about programs."""

import asyncio
from pathlib import Path

import pytest
from sandbox import MODEL, Letters, Sandbox, make_application, message, shared_home

from pie.control import ControlSettings
from pie.control.record_file import RecordWriter, read_record
from pie.control.recording import RecordedControl
from pie.control.replaying import replay
from pie.core.programs import Launch, Source
from pie.loop_clock import LoopClock
from pie.testing import FakeDriver, FakeExecutor, fake_model, fake_spec

pytestmark = pytest.mark.wasm

WAIT = "from inferlet import receive, send\nasync def main():\n    send('up')\n    return await receive()"
LOOP = "from inferlet import send\ndef main():\n    send('up')\n    while True: pass"
GENERATE = (
    "from inferlet import Context, receive, send\n"
    "async def main():\n"
    "    with Context() as context:\n"
    "        context.fill('abc')\n"
    "        await context.flush()\n"
    "        send('up')\n"
    "        await receive()\n"
    "        return await context.generate(40, stop_tokens=())"
)


async def test_each_program_is_shown_with_what_it_does(sandbox: Sandbox) -> None:
    waits, computes = sandbox.launch(WAIT), sandbox.launch(LOOP)
    await message(waits)
    await message(computes)
    holds = sandbox.launch(GENERATE)
    await message(holds)
    overview = sandbox.application.overview()
    rows = {row.id: row for row in overview.rows}
    assert (rows[waits.id].doing, rows[waits.id].tools) == ("tool", ["receive"])
    assert rows[computes.id].doing in ("computing", "running")
    assert rows[holds.id].pages > 0
    assert rows[holds.id].tokens == 3
    assert overview.models[MODEL].pages.held == rows[holds.id].pages
    assert sandbox.application.overview("somebody else").rows == []
    for instance in (waits, computes, holds):
        instance.cancel()
    assert sandbox.application.overview().rows == []


async def test_programs_in_the_sandbox_are_recorded_and_decided_the_same_way_again(tmp_path: Path) -> None:
    path = tmp_path / "record"
    control = RecordedControl(ControlSettings(), LoopClock(), RecordWriter(path, 1 << 30))
    driver = FakeDriver(FakeExecutor(fake_spec()), LoopClock(), lambda _: 0.001)
    control.add_model(fake_model(fake_spec(), MODEL), driver, Letters())
    application = make_application(control, shared_home())
    await application.start()
    instances = [application.launch(Launch(Source(GENERATE, "mine.py"))) for _ in range(5)]
    for instance in instances:
        await message(instance)
        instance.post("go")
    instances[0].cancel()
    await asyncio.gather(*(instance.wait() for instance in instances))
    await application.close(grace_seconds=0)
    control.tape.close()
    result = replay(read_record(path))
    assert (result.difference, result.broken, result.passes) == ("", "", len(driver.passes))
