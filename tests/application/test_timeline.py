"""Timelines of programs in the sandbox."""

import json
from typing import Any

import pytest
from sandbox import Sandbox, message

pytestmark = pytest.mark.wasm


def names(timeline: dict[str, Any], kind: str) -> list[str]:
    events = timeline["traceEvents"]
    return [event["name"] for event in events if event.get("cat") == kind and event["ph"] != "e"]


async def test_a_timeline_shows_calls_runs_waits_passes_and_what_was_waited_for_outside(
    sandbox: Sandbox,
) -> None:
    instance = sandbox.launch(
        "from inferlet import Context, receive, send\n"
        "import asyncio\n"
        "async def main():\n"
        "    with Context() as context:\n"
        "        context.fill('abc')\n"
        "        await context.generate(3, stop_tokens=())\n"
        "    await asyncio.sleep(0.05)\n"
        "    send('up')\n"
        "    return await receive()"
    )
    await message(instance)
    await sandbox.quiet()
    running = instance.timeline()
    assert names(running, "tool") == ["receive"]
    assert names(running, "wait")[-1] == "waits: tools"
    instance.post("go")
    await instance.wait()
    ended = json.loads(json.dumps(instance.timeline()))
    assert {"starts", "waits: model", "waits: sleep", "waits: tools"} <= set(names(ended, "wait"))
    assert {"alloc_kvpage", "embed_txt", "forward", "send"} <= set(names(ended, "host call"))
    assert [name.split()[0] for name in names(ended, "pass")] == ["pass"] * len(sandbox.driver.passes)
    life = [event["ts"] for event in ended["traceEvents"] if event["ph"] != "M"]
    assert life == sorted(life)
    assert ended["otherData"]["program"] == f"mine.py ({instance.id})"


async def test_children_have_a_process_of_their_own_below_their_parent(sandbox: Sandbox) -> None:
    instance = sandbox.launch(
        "from inferlet import spawn\n"
        "async def child():\n"
        "    return 'done'\n"
        "async def main():\n"
        "    return await spawn(child).wait()"
    )
    await instance.wait()
    timeline = instance.timeline()
    assert names(timeline, "tool") == ["child 1"]
    [child] = names(timeline, "child")
    assert child.startswith("child mine.py")
    assert {event["pid"] for event in timeline["traceEvents"]} == {1, 2}


async def test_a_failed_call_is_marked(sandbox: Sandbox) -> None:
    instance = sandbox.launch(
        "from inferlet.raw import dealloc_kvpage, create_queue\n"
        "from inferlet import Model\n"
        "async def main():\n"
        "    dealloc_kvpage(create_queue(Model().name), [7])"
    )
    await instance.wait()
    assert "dealloc_kvpage: failed" in names(instance.timeline(), "host call")
