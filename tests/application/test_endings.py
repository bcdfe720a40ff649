"""Whatever way a program ends, at whatever moment: everything it held goes back."""

import asyncio
import gc
from pathlib import Path

import pytest
from sandbox import MODEL, Sandbox, make_application, make_control, message, shared_home

from pie.application.admission import AdmissionSettings
from pie.core.errors import OutOfResources, Unavailable
from pie.core.events import Failed
from pie.core.programs import Launch, Source

pytestmark = pytest.mark.wasm

HOLD = (
    "from inferlet import raw, receive, send\n"
    "async def main():\n"
    f"    q = raw.create_queue({MODEL!r})\n"
    "    raw.alloc_kvpage(q, [1, 2, 3])\n"
    "    raw.alloc_emb(q, [1])\n"
    "    raw.embed_txt(q, [1], [0], [1])\n"
    "    raw.forward(q, [], [1], [1], 0, [])\n"
    "    await raw.synchronize(q)\n"
    "    send('held')\n"
)
MOMENTS = {
    "in a receive": HOLD + "    await receive()",
    "in a timer": HOLD + "    import asyncio\n    await asyncio.sleep(3600)",
    "in a sleep of the interpreter": HOLD + "    import time\n    time.sleep(3600)",
    "while it computes": HOLD + "    while True: pass",
    "with many tasks": HOLD
    + "    import asyncio\n    await asyncio.gather(*(asyncio.sleep(3600) for _ in range(50)))",
}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def held_pages(sandbox: Sandbox) -> int:
    """Key-value pages that programs hold."""
    return sandbox.control.statistics().models[MODEL].pages.held


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cancelled_program_gives_everything_back(sandbox: Sandbox, moment: str) -> None:
    instance = sandbox.launch(MOMENTS[moment])
    assert await message(instance) == "held"
    assert held_pages(sandbox) > 0
    instance.cancel()
    instance.cancel()
    assert instance.state == "cancelled"
    assert (held_pages(sandbox), sandbox.control.statistics().sessions) == (0, 0)


async def test_a_program_can_be_cancelled_before_it_has_run_at_all(sandbox: Sandbox) -> None:
    instance = sandbox.launch(HOLD)
    instance.cancel()
    assert await instance.wait() == Failed("cancelled", "the program was cancelled")


async def test_programs_can_be_cancelled_after_any_number_of_turns(sandbox: Sandbox) -> None:
    text = HOLD + "    for _ in range(3):\n        await raw.synchronize(q)\n        send('on')\n"
    for turns in range(12):
        instance = sandbox.launch(text)
        for _ in range(turns):
            await asyncio.sleep(0)
        instance.cancel()
        await instance.wait()
        assert held_pages(sandbox) == 0
        sandbox.control.check_integrity()


async def test_a_program_that_raises_gives_everything_back(sandbox: Sandbox) -> None:
    await sandbox.failure(HOLD + "    raise ValueError")
    assert held_pages(sandbox) == 0


async def test_the_death_of_the_driver_is_a_clear_error(sandbox: Sandbox) -> None:
    instance = sandbox.launch(HOLD + "    await receive()\n    raw.alloc_kvpage(q, [9])")
    await message(instance)
    sandbox.driver.kill("it died")
    instance.post("go on")
    failed = await instance.wait()
    assert isinstance(failed, Failed)
    assert "it died" in failed.message


async def test_hundreds_of_programs_leave_nothing_behind(sandbox: Sandbox) -> None:
    async def batch() -> None:
        instances = [sandbox.launch(MOMENTS["in a receive"]) for _ in range(20)]
        for instance in instances:
            await message(instance)
            instance.cancel()

    await batch()
    gc.collect()
    await sandbox.quiet()
    before = resident_bytes(), descriptors(), len(asyncio.all_tasks())
    for _ in range(6):
        await batch()
    gc.collect()
    await sandbox.quiet()
    after = resident_bytes(), descriptors(), len(asyncio.all_tasks())
    assert after[0] - before[0] < 16 << 20
    assert after[1:] == before[1:]


async def test_closing_lets_programs_end_and_cancels_the_rest() -> None:
    control, _ = make_control()
    application = make_application(control, shared_home())
    await application.start()
    quick = application.launch(Launch(Source("def main():\n    return 'x'")))
    endless = application.launch(Launch(Source("def main():\n    while True: pass")))
    await application.close(grace_seconds=0.2)
    assert (quick.state, endless.state) == ("finished", "cancelled")
    ended = await endless.wait()
    assert isinstance(ended, Failed)
    assert "shuts down" in ended.message
    with pytest.raises(Unavailable):
        application.launch(Launch(Source("")))


async def test_a_launch_beyond_the_limit_is_refused_at_once() -> None:
    control, _ = make_control()
    application = make_application(control, shared_home(), admission=AdmissionSettings(1, 0))
    await application.start()
    application.launch(Launch(Source("def main():\n    while True: pass")))
    with pytest.raises(OutOfResources, match=r"1 programs run.*try again in 5 s"):
        application.launch(Launch(Source("")))
    await application.close(grace_seconds=0)
