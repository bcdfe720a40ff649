"""A bad program gets a clear message, and its neighbour does not notice."""

import asyncio
import json
import os

import pytest
from whole import GREEDY, Whole

from pie.core.events import Failed
from pie.core.programs import Limits

RAW = "from inferlet import Model, raw\n\ndef main():\n    q = raw.create_queue(Model().name)\n"
ENDLESS = "def main():\n    n = 0\n    while True:\n        n += 1\n"
BAD = {
    "a syntax error": ("def main():\n    return (1 +\n", ("mine.py", "line 2")),
    "a missing import": ("import requests\n\ndef main():\n    pass\n", ("requests", "line 1")),
    "endless recursion": (
        "def f(n):\n    return f(n + 1)\n\ndef main():\n    f(0)\n",
        ("RecursionError", "line 2"),
    ),
    "a memory bomb": (
        "def main():\n    kept = []\n    while True:\n        kept.append(bytearray(1 << 20))\n",
        ("Memory", "line 4"),
    ),
    "a page never allocated": (
        RAW + "    raw.dealloc_kvpage(q, [7])\n",
        ("page 7 was never allocated", "line 5"),
    ),
    "a page freed twice": (
        RAW
        + "    raw.alloc_kvpage(q, [7])\n    raw.dealloc_kvpage(q, [7])\n    raw.dealloc_kvpage(q, [7])\n",
        ("page 7 was freed", "line 7"),
    ),
    "an embedding that is not there": (
        RAW + "    raw.forward(q, [], [3], [], 0, [])\n",
        ("emb 3 was never allocated", "line 5"),
    ),
    "a wrong argument type": (RAW + "    raw.alloc_kvpage(q, ['one'])\n", ("line 5",)),
    "a negative id": (RAW + "    raw.alloc_kvpage(q, [-1])\n", ("line 5",)),
    "a queue that is not there": (
        "from inferlet import raw\n\ndef main():\n    raw.alloc_kvpage(77, [1])\n",
        ("queue 77", "line 4"),
    ),
    "no such model": (
        "from inferlet import raw\n\ndef main():\n    raw.create_queue('gpt-9')\n",
        ("gpt-9", "line 4"),
    ),
}


async def neighbour(whole: Whole) -> list[int]:
    result = await whole.result(GREEDY, "--prompt", "The neighbour says that", "--max-tokens", "12")
    tokens: list[int] = json.loads(result)["tokens"]
    return tokens


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_program_is_told_what_and_where_and_its_neighbour_gets_the_same_tokens(
    whole: Whole, what: str
) -> None:
    text, words = BAD[what]
    expected = await neighbour(whole)
    failed, tokens = await asyncio.gather(whole.failure(text), neighbour(whole))
    said = f"{failed.message}\n{failed.traceback}"
    for word in words:
        assert word in said
    assert "runner" not in failed.traceback
    assert tokens == expected


async def test_nobody_can_touch_a_page_of_somebody_else(whole: Whole) -> None:
    holder = whole.launch(
        RAW + "    raw.alloc_kvpage(q, [5])\n    raw.send('held')\n    raw.receive().wait()\n"
    )
    await anext(holder.events())
    failed = await whole.failure(RAW + "    raw.copy_kvpage(q, [5], [5], [(0, 0, 1)])\n")
    assert "page 5 was never allocated" in failed.message
    assert "line 5" in failed.message
    holder.post("end")
    assert not isinstance(await holder.wait(), Failed)


async def test_an_endless_loop_ends_with_its_budget_and_names_its_line(whole: Whole) -> None:
    failed = await whole.failure(ENDLESS, limits=Limits(cpu_seconds=0.3))
    assert failed.reason == "limit"
    assert "processor time" in failed.message
    assert "mine.py, line 3" in failed.message


async def test_the_server_goes_on_beside_more_endless_loops_than_cores(whole: Whole) -> None:
    expected = await neighbour(whole)
    loops = [whole.launch(ENDLESS, limits=Limits(cpu_seconds=60)) for _ in range((os.cpu_count() or 1) + 2)]
    assert await whole.result("def main():\n    return 'still here'\n") == "still here"
    assert await neighbour(whole) == expected
    for loop in loops:
        loop.cancel()
    for loop in loops:
        ended = await loop.wait()
        assert isinstance(ended, Failed)
        assert ended.reason == "cancelled"


async def test_cancelling_a_loop_frees_its_processor_time(whole: Whole) -> None:
    text = "from inferlet import send\n\ndef main():\n    send('in')\n    while True:\n        pass\n"
    loop = whole.launch(text, limits=Limits(cpu_seconds=60))
    await anext(loop.events())
    await asyncio.sleep(0)
    loop.cancel()
    await loop.wait()
    polls = whole.stack.application.statistics().polls
    assert await whole.result("def main():\n    return 'ok'\n") == "ok"
    assert loop.state == "cancelled"
    assert whole.stack.application.statistics().polls - polls < 20
