"""Do others wait when a long prompt arrives? The time between tokens of 16 programs that decode, with and
without a prompt of 2,000 tokens that is read meanwhile, for several budgets of prompt tokens a pass.

The real model in its own process. Each decoder picks its tokens itself, so it wakes for each (the hard case:
its next step is asked for only when the last has come back) and notes the time; intervals count from the
reader's first command to its last hidden state. A budget of 2,048 is as if prompts were never split.
"""

import asyncio
import json
import sys
import time
from itertools import pairwise
from typing import Any

from harness import Options, Report, finish, options, summary
from stack import local_stack, result_of, run

from pie.application import Instance
from pie.core.events import Message
from pie.core.programs import Launch, Source
from pie.launch import Stack

DECODER = """
import json, time
from inferlet import Context, receive, send

async def main(prompt: str, max_tokens: int):
    times = []
    def pick(dist):
        times.append(time.time())
        return dist.max_index()
    with Context() as context:
        context.fill(prompt)
        await context.flush()
        send("ready")
        await receive()
        await context.generate(max_tokens, pick, stop_tokens=())
    return json.dumps(times)
"""
READER = """
import json, time
from inferlet import Context, receive, send

async def main(words: int):
    with Context() as context:
        context.fill(" robot" * words)
        send("ready")
        await receive()
        began = time.time()
        await context.flush()
        return json.dumps([began, time.time(), len(context.tokens)])
"""
PROMPT = "Number {} of the stories that the old lighthouse keeper told begins with"
DECODERS = 16
PROMPT_TOKENS = 2000
BUDGETS = (64, 128, 256, 2048)
SETTLE_SECONDS = 0.5


async def until_ready(instance: Instance) -> None:
    async for event in instance.events():
        if isinstance(event, Message):
            return
    raise RuntimeError("the program ended early: " + str(await instance.wait()))


def launch(stack: Stack, source: str, *arguments: str) -> Instance:
    return stack.application.launch(Launch(Source(source), arguments))


async def measure(stack: Stack, tokens: int) -> dict[str, Any]:
    """Milliseconds between tokens: before the prompt comes, and while it is read."""
    decoders = [
        launch(stack, DECODER, "--prompt", PROMPT.format(n), "--max-tokens", str(tokens))
        for n in range(DECODERS)
    ]
    reader = launch(stack, READER, "--words", str(PROMPT_TOKENS))
    await asyncio.gather(*map(until_ready, [*decoders, reader]))
    for decoder in decoders:
        decoder.post("go")
    await asyncio.sleep(SETTLE_SECONDS)
    quiet = time.time()
    await asyncio.sleep(2 * SETTLE_SECONDS)
    reader.post("go")
    began, ended, count = json.loads(result_of(await reader.wait()))
    times = [json.loads(result_of(await decoder.wait())) for decoder in decoders]
    if any(own[-1] < ended for own in times):
        raise RuntimeError("the decoders were through before the prompt was: give them more tokens")
    return {
        "prompt_tokens": count,
        "prompt_seconds": ended - began,
        "without_ms": summary(intervals(times, quiet, began)),
        "with_ms": summary(intervals(times, began, ended)),
    }


def intervals(times: list[list[float]], first: float, last: float) -> list[float]:
    """Those that end between the two moments."""
    pairs = [pair for own in times for pair in pairwise(own)]
    return [1e3 * (after - before) for before, after in pairs if first < after <= last]


async def measured(report: Report, budget: int) -> None:
    quick = report.options.quick
    async with local_stack(prefill_tokens=budget, cpu_seconds=600.0) as stack:
        for _ in range(1 if quick else 3):
            found = await measure(stack, 300)
            report.runs.append({"prefill_tokens": budget, **found})
            print(line(report.runs[-1]), file=sys.stderr, flush=True)


def line(found: dict[str, Any]) -> str:
    ways = (
        f"{way} p50 {part['median']:.0f} p99 {part['p99']:.0f} max {part['max']:.0f} ms"
        for way, part in (("without", found["without_ms"]), ("with", found["with_ms"]))
    )
    budget, seconds = found["prefill_tokens"], found["prompt_seconds"]
    return f"budget {budget}: {'; '.join(ways)}; prompt of {found['prompt_tokens']} in {seconds:.1f} s"


def main(given: Options) -> int:
    budgets = BUDGETS[1::2] if given.quick else BUDGETS
    report = Report("latency", given, {"decoders": DECODERS, "budgets": budgets})
    for budget in budgets:
        run(measured(report, budget))
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
