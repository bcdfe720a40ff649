"""Programs that spawn programs: results, failures, messages, shares, and what happens at every end."""

import asyncio
import json

import pytest
from sandbox import MODEL, Sandbox, message

from pie.core.events import Finished, Message
from pie.core.programs import Limits

pytestmark = pytest.mark.wasm

HEAD = "import asyncio, json\nfrom inferlet import raw, receive, receive_blob, send, send_blob, spawn\n"
FOREVER = "async def forever():\n    send('up')\n    await receive()\n"


async def all_back(sandbox: Sandbox) -> None:
    """Nobody is alive any more."""
    await sandbox.quiet()
    assert sandbox.application.statistics().alive == 0


async def test_functions_names_and_texts_can_be_spawned(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def add(a, b=1):\n    return {'sum': a + b}\n"
        "async def main():\n"
        "    source = 'def main(x: int):\\n    return x * 2'\n"
        "    children = [spawn(add, 1, b=2), spawn(source, x=4), spawn('hello')]\n"
        "    return [await child for child in children]\n"
    )
    assert (await sandbox.result(text)).startswith('[{"sum": 3}, "8", ')
    await all_back(sandbox)


async def test_a_program_can_spawn_itself_with_other_options(sandbox: Sandbox) -> None:
    text = HEAD + (
        "from inferlet import myself\n"
        "async def main(n: int = 5):\n"
        "    return n if n == 0 else n + int(await spawn(myself, n=n - 1, share=0.9))\n"
    )
    assert await sandbox.result(text) == "15"


async def test_a_childs_failure_names_its_line_and_its_error(sandbox: Sandbox) -> None:
    text = HEAD + "def bad():\n    raise ValueError('too bad')\nasync def main():\n    await spawn(bad)\n"
    failed = await sandbox.failure(text)
    assert failed.reason == "error"
    assert "mine.py, line 6: ChildFailed: child 1 (mine.py) failed (error): mine.py, line 4" in failed.message
    assert "ValueError: too bad" in failed.message


async def test_a_child_that_goes_too_far_fails_and_its_parent_goes_on(sandbox: Sandbox) -> None:
    text = HEAD + (
        "from inferlet.errors import ChildFailed\n"
        "def loop():\n    while True: pass\n"
        "async def main():\n"
        "    try:\n        await spawn(loop, share=0.1)\n"
        "    except ChildFailed as failed:\n        return str(failed)\n"
    )
    ended = await sandbox.run(text, limits=Limits(cpu_seconds=2))
    assert isinstance(ended, Finished)
    assert "failed (limit): used up its 0." in ended.result


async def test_messages_go_up_and_down_in_order(sandbox: Sandbox) -> None:
    text = HEAD + (
        "async def echo():\n"
        "    for _ in range(3): send((await receive()) + '!')\n"
        "    send_blob(await receive_blob())\n"
        "async def main():\n"
        "    child = spawn(echo)\n"
        "    for word in 'abc': child.send(word)\n"
        "    child.send(bytes([0, 255]))\n"
        "    return [text async for text in child] + list(await child.receive_blob())\n"
    )
    assert await sandbox.result(text) == '["a!", "b!", "c!", 0, 255]'


async def test_a_childs_messages_do_not_reach_the_client_but_what_it_prints_does(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def talk():\n    send('for my parent')\n    print('for everybody')\n"
        "async def main():\n    await spawn(talk)\n"
    )
    events = await sandbox.events(text)
    assert not any(isinstance(event, Message) for event in events)
    assert "for everybody" in "".join(getattr(event, "text", "") for event in events)


async def test_a_child_that_sends_faster_than_its_parent_reads_waits_and_nothing_is_lost(
    sandbox: Sandbox,
) -> None:
    text = HEAD + (
        "def flood():\n    for i in range(6000): send(str(i))\n"
        "async def main():\n"
        "    child = spawn(flood)\n"
        "    await asyncio.sleep(0.05)\n"
        "    return [text async for text in child] == [str(i) for i in range(6000)]\n"
    )
    assert await sandbox.result(text) == "true"


async def test_messages_that_a_parent_never_asks_for_stop_nobody(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def flood():\n    for i in range(6000): send(str(i))\n    return 'done'\n"
        "async def main():\n    return await spawn(flood)\n"
    )
    assert await sandbox.result(text) == "done"


async def test_a_parent_that_waits_for_the_end_and_receives_gets_everything(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def flood():\n    for i in range(6000): send(str(i))\n    return 'done'\n"
        "async def main():\n"
        "    child = spawn(flood)\n"
        "    async def read(): return [text async for text in child]\n"
        "    end, texts = await asyncio.gather(child, read())\n"
        "    return end == 'done' and texts == [str(i) for i in range(6000)]\n"
    )
    assert await sandbox.result(text) == "true"


async def test_a_child_can_be_cancelled(sandbox: Sandbox) -> None:
    text = (
        HEAD
        + FOREVER
        + (
            "async def main():\n"
            "    child = spawn(forever)\n"
            "    await child.receive()\n"
            "    child.cancel()\n"
            "    child.cancel()\n"
            "    await child\n"
        )
    )
    failed = await sandbox.failure(text)
    assert "failed (cancelled): the program was cancelled" in failed.message


ENDS = {
    "returns": "",
    "raises": "    raise ValueError('over')\n",
    "exits": "    raise SystemExit(3)\n",
    "loops": "    while True: pass\n",
    "waits too long": "    await receive()\n",
}


@pytest.mark.parametrize("end", ENDS)
async def test_children_and_their_children_end_with_their_parent(sandbox: Sandbox, end: str) -> None:
    text = (
        HEAD
        + FOREVER
        + (
            "async def middle():\n"
            "    child = spawn(forever)\n"
            "    await child.receive()\n"
            "    send('both up')\n"
            "    await receive()\n"
            "async def main():\n"
            "    child = spawn(middle)\n"
            "    await child.receive()\n"
            "    send(json.dumps(raw.usage().children))\n" + ENDS[end]
        )
    )
    instance = sandbox.launch(text, limits=Limits(cpu_seconds=1, wall_seconds=4))
    assert await message(instance) == "2"
    await instance.wait()
    assert sandbox.application.statistics().alive == 0
    assert sum(sandbox.application.statistics().ended.values()) == 3


async def test_children_end_when_their_parent_is_cancelled(sandbox: Sandbox) -> None:
    text = (
        HEAD
        + FOREVER
        + ("async def main():\n    await spawn(forever).receive()\n    send('up')\n    await receive()\n")
    )
    instance = sandbox.launch(text)
    await message(instance)
    instance.cancel()
    assert sandbox.application.statistics().alive == 0


async def test_a_share_is_taken_from_what_is_left_and_given_back(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def left():\n"
        "    u = raw.usage()\n"
        "    return [u.cpu_ms_left, u.wall_ms_left, u.pages_left, u.calls_left, u.children_left]\n"
        "async def stay():\n"
        "    await receive()\n"
        "    return left()\n"
        "async def main():\n"
        "    before = left()\n"
        "    child = spawn(stay, share=0.25)\n"
        "    during = left()\n"
        "    child.send('now')\n"
        "    got = await child\n"
        "    await asyncio.sleep(0)\n"
        "    after = left()\n"
        "    return [before, during, got, after]\n"
    )
    limits = Limits(cpu_seconds=8, wall_seconds=400, pages=40, calls_in_flight=1000, children=9)
    ended = await sandbox.run(text, limits=limits)
    assert isinstance(ended, Finished), ended
    before, during, got, after = json.loads(ended.result)
    assert got[0] <= before[0] / 4
    assert got[1] <= before[1] / 4
    assert (got[2], got[4]) == (10, 2)
    assert 240 < got[3] <= 250
    assert (before[2], during[2], after[2]) == (40, 30, 40)
    assert (before[4], during[4], after[4]) == (9, 8, 9)
    assert during[3] <= before[3] - 250


async def test_what_children_compute_counts_for_their_parents(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def work():\n    return sum(range(400000))\n"
        "async def main():\n"
        "    before = raw.usage().cpu_ms\n"
        "    await spawn(work)\n"
        "    return raw.usage().cpu_ms - before > 2\n"
    )
    assert await sandbox.result(text) == "true"


async def test_looping_children_use_up_their_parents_time_and_end_with_it(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def loop():\n    while True: pass\n"
        "async def main():\n"
        "    children = [spawn(loop) for _ in range(3)]\n"
        "    await receive()\n"
    )
    failed = await sandbox.failure(text, limits=Limits(cpu_seconds=0.3))
    assert failed.reason == "limit"
    assert "processor time" in failed.message
    await all_back(sandbox)


async def test_children_alive_are_bounded_for_the_whole_tree(sandbox: Sandbox) -> None:
    text = (
        HEAD
        + FOREVER
        + ("async def main():\n    kept = []\n    while True: kept.append(spawn(forever, share=0.1))\n")
    )
    failed = await sandbox.failure(text, limits=Limits(children=3))
    assert "LimitExceeded: 3 programs that this program has spawned" in failed.message
    await all_back(sandbox)


async def test_a_fork_bomb_stays_small(sandbox: Sandbox) -> None:
    text = HEAD + (
        "from inferlet.errors import InferletError\n"
        "def bomb():\n"
        "    kept = []\n"
        "    try:\n"
        "        while True: kept.append(spawn(bomb, share=1.0))\n"
        "    except InferletError as error:\n"
        "        asyncio.run(wait(error))\n"
        "async def wait(error):\n    await receive()\n"
        "async def main():\n"
        "    child = spawn(bomb, share=1.0)\n"
        "    while raw.usage().children_left: await asyncio.sleep(0.01)\n"
        "    return raw.usage().children\n"
    )
    assert await sandbox.run(text, limits=Limits(children=6)) == Finished("6")
    await all_back(sandbox)


async def test_pages_that_are_lent_are_not_there_for_the_parent(sandbox: Sandbox) -> None:
    text = (
        HEAD
        + FOREVER
        + (
            "async def main():\n"
            f"    q = raw.create_queue({MODEL!r})\n"
            "    child = spawn(forever, share=0.5)\n"
            "    raw.alloc_kvpage(q, range(5))\n"
            "    raw.alloc_kvpage(q, [5])\n"
        )
    )
    failed = await sandbox.failure(text, limits=Limits(pages=10))
    assert "mine.py, line 10: LimitExceeded: 1 more pages would be more than the 5" in failed.message


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("spawn('no-such-thing')", "NotFound|UnknownId"),
        ("spawn('f' * 64)", "UnknownId"),
        ("spawn('hello', share=0)", "InvalidArgument: share is above 0"),
        ("spawn('hello', share=1.5)", "InvalidArgument: share is above 0"),
        ("spawn('hello', share=float('nan'))", "InvalidArgument: share is above 0"),
        ("spawn('hello', share=0.0001)", "LimitExceeded: a share of 0.0001"),
        ("raw.wait_child(7)", "UnknownId: child 7 does not exist"),
        ("raw.send_to_child(0, 'x')", "UnknownId: child 0 does not exist"),
    ],
)
async def test_wrong_calls_say_why(sandbox: Sandbox, call: str, error: str) -> None:
    failed = await sandbox.failure(f"{HEAD}async def main():\n    {call}\n")
    assert failed.message.startswith("mine.py, line 4")
    assert any(each in failed.message for each in error.split("|"))


async def test_a_message_to_a_child_that_has_ended_is_an_error(sandbox: Sandbox) -> None:
    text = HEAD + "async def main():\n    child = spawn('hello')\n    await child\n    child.send('late')\n"
    assert "has finished: it receives no messages any more" in (await sandbox.failure(text)).message


async def test_hundreds_of_children_one_after_the_other_leave_nothing_behind(sandbox: Sandbox) -> None:
    text = HEAD + (
        "def one(i):\n    return i\n"
        "async def main():\n"
        "    total = 0\n"
        "    for i in range(100): total += await spawn(one, i, share=0.5)\n"
        "    return total\n"
    )
    tasks = len(asyncio.all_tasks())
    assert await sandbox.result(text) == str(sum(range(100)))
    await all_back(sandbox)
    assert len(asyncio.all_tasks()) == tasks


async def test_a_child_is_of_its_parents_tenant_and_may_talk_to_its_hosts_only(sandbox: Sandbox) -> None:
    text = HEAD + (
        "async def ask():\n    await raw.http_get('http://other.example/')\n"
        "async def main():\n    await spawn(ask)\n"
    )
    failed = await sandbox.failure(text, limits=Limits(hosts=("example.org",)))
    assert "may not talk to other.example" in failed.message
