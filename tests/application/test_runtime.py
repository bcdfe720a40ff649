"""Who runs when."""

import asyncio

import pytest
from sandbox import Sandbox, make_application, make_control, message, shared_home

from pie.application.fiber import Fiber
from pie.core.events import Event, Finished, Message
from pie.core.programs import Launch, Source

pytestmark = pytest.mark.wasm

WAIT = "from inferlet import receive, send\nasync def main():\n    send('up')\n    return await receive()"

ECHO = "from inferlet import receive, send\nasync def main():\n    while True: send(await receive())"


async def test_only_the_program_whose_message_came_runs(sandbox: Sandbox) -> None:
    instances = [sandbox.launch(WAIT) for _ in range(5)]
    for instance in instances:
        await message(instance)
    polls = await sandbox.quiet()
    instances[3].post("now")
    assert await instances[3].wait() == Finished("now")
    assert sandbox.application.statistics().polls == polls + 1
    for instance in instances:
        instance.cancel()


async def test_a_program_that_waits_for_several_things_gets_the_one_that_came(sandbox: Sandbox) -> None:
    text = (
        "import asyncio\n"
        "from inferlet import receive, receive_blob\n"
        "async def main():\n"
        "    waits = receive(), receive_blob(), asyncio.sleep(3600)\n"
        "    tasks = [asyncio.ensure_future(each) for each in waits]\n"
        "    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)\n"
        "    return [task.result().decode() for task in done]"
    )
    instance = sandbox.launch(text)
    await sandbox.quiet()
    instance.post(b"bytes")
    assert await instance.wait() == Finished('["bytes"]')


async def test_timeouts_in_the_program_come_true(sandbox: Sandbox) -> None:
    text = (
        "import asyncio\n"
        "from inferlet import receive\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.01):\n"
        "            await receive()\n"
        "    except TimeoutError:\n"
        "        return 'too late'"
    )
    assert await sandbox.result(text) == "too late"


async def test_a_program_that_computes_lets_those_that_wait_go_first(sandbox: Sandbox) -> None:
    loop = sandbox.launch("def main():\n    while True: pass")
    echo = sandbox.launch(ECHO)
    events = echo.events()
    await anext(events)
    turns = sandbox.application.statistics().turns
    for number in range(20):
        echo.post(str(number))
        await anext(events)
    assert sandbox.application.statistics().turns - turns <= 60
    echo.cancel()
    loop.cancel()


async def test_the_control_layer_is_told_how_many_programs_could_run(sandbox: Sandbox) -> None:
    instances = [sandbox.launch(WAIT) for _ in range(3)]
    assert sandbox.control.guests_runnable() == 3
    await sandbox.quiet()
    assert sandbox.control.guests_runnable() == 0
    for instance in instances:
        instance.cancel()


async def test_to_instantiate_the_runner_calls_nothing_of_ours(sandbox: Sandbox) -> None:
    """So it may be done on another thread, ahead of launches."""

    class Nobody:
        host_calls = 0

    parts = sandbox.application._parts()
    sandbox.application._stage.guest = Nobody()  # type: ignore[assignment]
    fiber = Fiber(sandbox.application._engine_address, parts.components.runner, 128 << 20)
    assert fiber.instantiate()
    fiber.close()
    assert Nobody.host_calls == 0


TRACES = """
import asyncio, gc, linecache, random, sys
from inferlet import get_arg, send

async def main(n: int):
    send(f"{n}")
    left = [name for name in sys.modules if "program" in name], sorted(linecache.cache), get_arg()
    return repr((left, asyncio.current_task().get_name(), sys.getrecursionlimit(), gc.isenabled()))
"""
"""Tells what another program could have left behind."""


async def run_with_spares(spares: int) -> list[list[Event]]:
    control, _ = make_control()
    application = make_application(control, shared_home(), spares=spares)
    await application.start()
    async with asyncio.timeout(60):
        while application._parts().spares.rehearsed < spares:  # noqa: ASYNC110  # another thread works
            await asyncio.sleep(0.01)
    instances = [application.launch(Launch(Source(TRACES), ("--n", str(n)))) for n in range(3)]
    events = [[event async for event in each.events()][1:] for each in instances]
    await application.close()
    return events


async def test_programs_run_the_same_with_and_without_a_sandbox_that_has_rehearsed() -> None:
    events = await run_with_spares(2)
    assert [found[0] for found in events] == [Message("0"), Message("1"), Message("2")]
    assert all(isinstance(found[-1], Finished) and len(found) == 2 for found in events)
    assert events == await run_with_spares(0)


async def test_a_sandbox_that_has_rehearsed_has_its_own_random_numbers() -> None:
    control, _ = make_control()
    application = make_application(control, shared_home(), spares=2)
    await application.start()
    source = Source("import random\ndef main():\n    return random.random()")
    ends = [await application.launch(Launch(source)).wait() for _ in range(4)]
    assert len({end.result for end in ends if isinstance(end, Finished)}) == 4
    await application.close()


async def test_what_the_snapshot_holds_is_immortal_and_what_a_program_makes_is_not(sandbox: Sandbox) -> None:
    things = "[json, json.dumps, json.JSONEncoder, json.dumps.__code__, main]"
    text = f"import sys, json\ndef main():\n    return [*map(sys._is_immortal, {things})]"
    assert await sandbox.result(text) == "[true, true, true, true, false]"


@pytest.mark.parametrize(("driver_works", "rests"), [(True, True), (False, False)])
async def test_a_program_that_computes_rests_between_slices_while_the_driver_works(
    driver_works: bool, rests: bool
) -> None:
    """Its next slice would come hours later here."""
    control, _ = make_control()
    control.driver_works = lambda: driver_works  # type: ignore[method-assign]
    application = make_application(control, shared_home(), spares=0, compute_share=1e-6)
    await application.start()
    loop = application.launch(Launch(Source("def main():\n    while True: pass")))
    echo = application.launch(Launch(Source(ECHO)))
    events = echo.events()
    await anext(events)
    for number in range(40):
        echo.post(str(number))
        await anext(events)
    assert (application.statistics().yields <= 2) == rests
    loop.cancel()
    echo.cancel()
    await asyncio.gather(loop.wait(), echo.wait())
    await application.close()
