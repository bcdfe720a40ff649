"""Greedy runs: many steps for one wake-up, the same tokens as step by step."""

import pytest
from sandbox import Sandbox

TEXT = """
import asyncio
from inferlet import Context

async def steps(context, count):
    return [token async for token in context.stream_tokens(count, stop_tokens=())]

async def main(count: int):
    run, step = Context(), Context()
    for context in (run, step):
        context.fill("a text that takes more than one page of tokens")
    await run.generate(count, stop_tokens=())
    await steps(step, count)
    same = run.tokens == step.tokens
    for context in (run, step):
        context.fill("and more")
    return [same, await run.generate(3, stop_tokens=()) == await step.generate(3, stop_tokens=())]
"""
STOPPED = """
from inferlet import Context

async def main():
    whole = Context()
    whole.fill("abc")
    await whole.generate(20, stop_tokens=())
    found = whole.tokens[3:]
    stopped = Context()
    stopped.fill("abc")
    await stopped.generate(20, stop_tokens=[found[9]])
    return [stopped.tokens[3:] == found[:found.index(found[9])], stopped.stop_reason]
"""
INTERRUPTED = """
import asyncio
from inferlet import Context

async def main():
    plain, hasty = Context(), Context()
    for context in (plain, hasty):
        context.fill("abcdefghijk")
        await context.generate(2, stop_tokens=())
    before = hasty.tokens
    task = asyncio.create_task(hasty.generate(60, stop_tokens=()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    same = hasty.tokens == before
    return [same, await plain.generate(30, stop_tokens=()) == await hasty.generate(30, stop_tokens=())]
"""
BAD = """
from inferlet import Model, raw

async def main():
    queue = raw.create_queue(Model().name)
    raw.alloc_kvpage(queue, [0])
    raw.alloc_emb(queue, [0, 1])
    await raw.decode_greedy(queue, 1, 0, [0], 0, 1, 1000)
"""


@pytest.mark.parametrize("count", ["1", "2", "40", "150"])
async def test_a_run_finds_the_tokens_that_single_steps_find(sandbox: Sandbox, count: str) -> None:
    assert await sandbox.result(TEXT, "--count", count) == "[true, true]"


async def test_a_run_ends_at_a_stop_token_which_is_no_part_of_the_text(sandbox: Sandbox) -> None:
    assert await sandbox.result(STOPPED) == '[true, "stop_token"]'


async def test_a_context_goes_on_after_a_run_that_was_cancelled(sandbox: Sandbox) -> None:
    assert await sandbox.result(INTERRUPTED) == "[true, true]"


async def test_a_run_that_its_pages_cannot_hold_is_refused_on_its_line(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(BAD)
    assert "1000 tokens from position 0 on do not fit into 1 pages" in failed.message
    assert "line 8" in failed.message


async def test_a_program_sleeps_through_its_run(sandbox: Sandbox) -> None:
    text = TEXT.replace("await steps(step, count)", "await step.generate(count, stop_tokens=())")
    await sandbox.quiet()
    before = sandbox.application.statistics().polls
    assert await sandbox.result(text, "--count", "60") == "[true, true]"
    assert sandbox.application.statistics().polls - before < 40
