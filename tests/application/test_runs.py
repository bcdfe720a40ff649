"""Runs of decoding: many steps for one wake-up, the same tokens as step by step."""

import pytest
from sandbox import Sandbox

TEXT = """
from inferlet import Context, Sampler

def sampler(kind):
    return {"greedy": None, "warm": Sampler(0.8, top_p=0.9, seed=5)}[kind]

async def main(count: int, kind: str):
    run, step = Context(), Context()
    for context in (run, step):
        context.fill("a text that takes more than one page of tokens")
    await run.generate(count, sampler(kind), stop_tokens=())
    same_sampler = sampler(kind) or (lambda dist: dist.max_index())
    await step.generate(count, lambda dist: same_sampler(dist), stop_tokens=())
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
RAW = """
from inferlet import Model, raw
from inferlet.raw import SamplingSpec

async def main():
    queue = raw.create_queue(Model().name)
    raw.alloc_kvpage(queue, [0, 1])
    raw.alloc_emb(queue, [0, 1])
    raw.alloc_slot(queue, [0, 1])
    raw.embed_txt(queue, [5], [0], [0])
    raw.forward(queue, [], [0], [0], 0, [1])
    spec = SamplingSpec(temperature=0.9, seed=3, frequency_penalty=0.5, seen=[5])
    raw.sample(queue, 1, spec, 0)
    raw.embed_slot(queue, [0], [1], [0])
    raw.forward(queue, [0], [0], [0], 1, [1])
    raw.sample(queue, 1, spec._replace(seen_slots=[0]), 1)
    ahead = await raw.read_slots(queue, [0, 1])
    first = (await raw.logprobs(queue, [1, 1], [1, 2]))
    dist = await raw.get_next_dist(queue, 1, 4, [1, 2])
    same = [abs(a - dist.logprob(t)) < 1e-6 for a, t in zip(first, [1, 2])]
    raw.dealloc_slot(queue, [0, 1])
    return [len(ahead), same]
"""
BAD = """
from inferlet import Model, raw

async def main():
    queue = raw.create_queue(Model().name)
    raw.alloc_kvpage(queue, [0])
    raw.alloc_emb(queue, [0, 1])
    await raw.decode_ahead(queue, raw.SamplingSpec(), 1, [0], 1, 0, 1, 1000)
"""
CHUNKS = """
from inferlet import Model, raw

async def main():
    queue = raw.create_queue(Model().name)
    raw.alloc_kvpage(queue, [0, 1])
    raw.alloc_emb(queue, [0, 1])
    raw.embed_txt(queue, [5], [0], [0])
    raw.forward(queue, [], [0], [0], 0, [1])
    run = raw.decode_ahead(queue, raw.SamplingSpec(), 1, [0, 1], 1, 0, 1, 10, chunk=4)
    found = []
    while sum(map(len, found)) < 10:
        found.append(await run)
    return [sum(map(len, found)), all(len(part) >= 4 for part in found[:-1])]
"""


@pytest.mark.parametrize("kind", ["greedy", "warm"])
@pytest.mark.parametrize("count", ["1", "2", "150"])
async def test_a_run_finds_the_tokens_that_single_steps_find(sandbox: Sandbox, count: str, kind: str) -> None:
    assert await sandbox.result(TEXT, "--count", count, "--kind", kind) == "[true, true]"


async def test_raw_calls_run_ahead_and_score(sandbox: Sandbox) -> None:
    assert await sandbox.result(RAW) == "[2, [true, true]]"


async def test_a_run_is_read_in_chunks(sandbox: Sandbox) -> None:
    assert await sandbox.result(CHUNKS) == "[10, true]"


async def test_a_run_ends_at_a_stop_token_which_is_no_part_of_the_text(sandbox: Sandbox) -> None:
    assert await sandbox.result(STOPPED) == '[true, "stop_token"]'


async def test_a_context_goes_on_after_a_run_that_was_cancelled(sandbox: Sandbox) -> None:
    assert await sandbox.result(INTERRUPTED) == "[true, true]"


async def test_a_run_that_its_pages_cannot_hold_is_refused_on_its_line(sandbox: Sandbox) -> None:
    failed = await sandbox.failure(BAD)
    assert "999 tokens from token 1 on do not fit into 1 pages" in failed.message
    assert "line 8" in failed.message


async def test_a_program_sleeps_through_its_run(sandbox: Sandbox) -> None:
    await sandbox.quiet()
    before = sandbox.application.statistics().polls
    assert await sandbox.result(STOPPED) == '[true, "stop_token"]'
    assert sandbox.application.statistics().polls - before < 30
