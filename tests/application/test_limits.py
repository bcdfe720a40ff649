"""A program that goes too far is stopped with a message that says where, and nobody else notices."""

import asyncio
import os

import pytest
from sandbox import MODEL, Sandbox, message

from pie.core.errors import LimitExceeded
from pie.core.events import Failed, Finished, Message
from pie.core.programs import Limits

pytestmark = pytest.mark.wasm

LOOP = "def main():\n    for _ in range(3):\n        pass\n    while True:\n        pass"
GENERATE = (
    "from inferlet import Context\n"
    "async def main():\n"
    "    with Context() as context:\n"
    "        context.fill('a neighbour')\n"
    "        return await context.generate(8)"
)
HOST = "import inferlet.host\nhost = inferlet.host.bound.host\n"


async def test_an_endless_loop_ends_with_its_budget_and_names_its_line(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(LOOP, limits=Limits(cpu_seconds=0.1))
    assert failed.reason == "limit"
    assert "0.1 s of processor time" in failed.message
    assert "mine.py, line 4" in failed.message


async def test_with_more_endless_loops_than_cores_others_start_generate_and_finish(sandbox: Sandbox) -> None:
    alone = await sandbox.result(GENERATE)
    loops = [sandbox.launch(LOOP) for _ in range((os.cpu_count() or 1) + 2)]
    assert await asyncio.gather(*(sandbox.result(GENERATE) for _ in range(3))) == [alone] * 3
    for loop in loops:
        loop.cancel()
    assert {loop.state for loop in loops} == {"cancelled"}


async def test_a_cancelled_loop_does_not_run_again(sandbox: Sandbox) -> None:
    loop = sandbox.launch("from inferlet import send\ndef main():\n    send('in')\n    while True: pass")
    await message(loop)
    loop.cancel()
    polls = sandbox.application.statistics().polls
    await asyncio.sleep(0.02)
    assert sandbox.application.statistics().polls == polls
    assert await loop.wait() == Failed("cancelled", "the program was cancelled")


async def test_endless_recursion_names_its_line(sandbox: Sandbox) -> None:
    failed = await sandbox.failure("def f(n):\n    return f(n + 1)\ndef main():\n    f(0)")
    assert failed.reason == "limit"
    assert failed.message.startswith("mine.py, line 2: RecursionError")


async def test_recursion_in_native_code_ends_the_program_and_not_the_server(sandbox: Sandbox) -> None:
    text = "def main():\n    x = []\n    for _ in range(200000):\n        x = [x]\n    repr(x)"
    failed = await sandbox.failure(text)
    assert failed.reason == "limit"
    assert await sandbox.result("def main():\n    return 'fine'") == "fine"


@pytest.mark.parametrize(
    "grow", ["bytearray(1 << 20)", "[None] * 4096", "'x' * 300000"], ids=["bytes", "lists", "text"]
)
async def test_a_memory_bomb_names_its_line_and_the_limit(sandbox: Sandbox, grow: str) -> None:
    text = f"def main():\n    kept = []\n    while True:\n        kept.append({grow})"
    failed = await sandbox.failure(text, limits=Limits(memory_bytes=64 << 20))
    assert failed.reason == "limit"
    assert "mine.py, line 4: MemoryError" in failed.message
    assert "64 MiB" in failed.message


async def test_a_memory_limit_below_the_interpreters_own_need_is_explained(sandbox: Sandbox) -> None:
    failed = await sandbox.failure("def main(): pass", limits=Limits(memory_bytes=1 << 20))
    assert failed.reason == "limit"
    assert "1 MiB" in failed.message


async def test_a_list_that_is_too_long_for_a_call_is_refused(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(HOST + "def main():\n    host.futures.poll([1] * 1_100_000)")
    assert failed == Failed("limit", "a list of 1100000 items is longer than a call may carry (1048576)")


async def test_a_list_that_would_fill_the_servers_memory_is_refused(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(HOST + "def main():\n    host.futures.poll([1] * 4_000_000)")
    assert failed.reason == "limit"
    assert "too long" in failed.message


async def test_a_list_that_is_too_long_for_the_library_names_the_line(sandbox: Sandbox) -> None:
    text = (
        "from inferlet import raw\n"
        "def main():\n"
        f"    q = raw.create_queue({MODEL!r})\n"
        "    raw.alloc_kvpage(q, [1] * 3_000_000)"
    )
    failed = await sandbox.failure(text)
    assert failed.reason == "limit"
    assert failed.message.startswith("mine.py, line 4: LimitExceeded")
    assert "3000000 items" in failed.message


async def test_a_hundred_thousand_host_calls_do_no_harm(sandbox: Sandbox) -> None:
    text = HOST + "def main():\n    for _ in range(100_000):\n        host.runtime.now()\n    return 'done'"
    assert await sandbox.result(text) == "done"


async def test_a_message_that_is_too_long_is_an_error_of_the_call(sandbox: Sandbox) -> None:
    text = "from inferlet import send\ndef main():\n    send('x' * 2000)"
    failed = await sandbox.failure(text, limits=Limits(message_bytes=1000))
    assert "mine.py, line 3" in failed.message
    assert "2000 bytes" in failed.message


async def test_a_program_that_sends_faster_than_its_client_reads_waits_and_nothing_is_lost(
    sandbox: Sandbox,
) -> None:
    text = "from inferlet import send\ndef main():\n    for i in range(6000):\n        send(str(i))"
    instance = sandbox.launch(text)
    events = instance.events()
    await anext(events)
    await sandbox.quiet()
    rest = [event async for event in events]
    assert [event.text for event in rest if isinstance(event, Message)] == [str(i) for i in range(6000)]


async def test_a_client_that_stops_reading_stops_the_program_until_it_leaves(sandbox: Sandbox) -> None:
    text = "from inferlet import send\ndef main():\n    while True:\n        send('x' * 1000)"
    instance = sandbox.launch(text)
    events = instance.events()
    await anext(events)
    await sandbox.quiet()
    assert instance.outbox.full
    await events.aclose()  # type: ignore[attr-defined]
    assert sandbox.application.statistics().runnable == 1
    instance.cancel()


async def test_a_result_that_is_too_long_is_refused(sandbox: Sandbox) -> None:
    failed = await sandbox.failure("def main():\n    return 'x' * 2000", limits=Limits(message_bytes=1000))
    assert failed.reason == "limit"
    assert "2000 characters" in failed.message


async def test_a_post_that_is_too_long_is_refused(sandbox: Sandbox) -> None:
    instance = sandbox.launch("from inferlet import receive\nasync def main():\n    await receive()")
    with pytest.raises(LimitExceeded):
        instance.post("x" * (Limits().message_bytes + 1))
    instance.cancel()


async def test_futures_that_are_never_dropped_are_bounded(sandbox: Sandbox) -> None:
    text = HOST + "def main():\n    for _ in range(100):\n        host.runtime.receive()"
    failed = await sandbox.failure(text, limits=Limits(calls_in_flight=10))
    assert "LIMIT_EXCEEDED" in failed.message
    assert "drop them" in failed.message


async def test_a_program_that_waits_for_ever_ends_at_its_deadline(sandbox: Sandbox) -> None:
    text = "from inferlet import receive\nasync def main():\n    await receive()"
    failed = await sandbox.failure(text, limits=Limits(wall_seconds=0.05))
    assert failed.reason == "deadline"
    assert "0.05 s" in failed.message


async def test_no_launch_gets_more_than_the_operator_allows(sandbox: Sandbox) -> None:
    text = "from inferlet import raw\ndef main():\n    return raw.usage().cpu_ms_left < 60_000"
    assert await sandbox.run(text, limits=Limits(cpu_seconds=1e9)) == Finished("true")


async def test_ids_of_pages_that_are_not_there_name_the_id_and_the_line(sandbox: Sandbox) -> None:
    text = (
        "from inferlet import raw\n"
        "def main():\n"
        f"    q = raw.create_queue({MODEL!r})\n"
        "    raw.dealloc_kvpage(q, [7])"
    )
    failed = await sandbox.failure(text)
    assert "mine.py, line 4: UnknownId: page 7" in failed.message
