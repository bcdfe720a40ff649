"""Who decodes, and beside whom: the time between tokens with guests that compute, and of a high priority.

16 programs stream tokens, alone and beside four that compute without pause (their processor quota at its
default). Then one program of a high priority streams, alone and beside 32 that generate at a low one; a pass
that was sent before its command came counts, as it does for everybody. The scenes take turns on one server,
so that a slower minute of the machine is a slower minute for both.
"""

import asyncio
import json
import statistics
import sys
from itertools import pairwise
from typing import Any

from harness import Options, Report, finish, options, percentile
from stack import local_stack, result_of, run

from pie.application import Instance
from pie.core.events import Message
from pie.core.programs import Launch, Source
from pie.launch import Stack

DECODER = """
import json, time
from inferlet import Context, receive, send
from inferlet.raw import set_queue_priority

async def main(prompt: str, max_tokens: int, priority: int):
    times = []
    with Context() as context:
        set_queue_priority(context.queue, priority)
        context.fill(prompt)
        await context.flush()
        send("ready")
        await receive()
        async for token in context.stream_tokens(max_tokens, stop_tokens=()):
            times.append(time.time())
    return json.dumps(times)
"""
LOOP = """
def main():
    total = 0
    while True:
        total = (total * 31 + 7) % 1000003
"""
PROMPT = "Number {} of the stories that the old lighthouse keeper told begins with"
DECODERS, LOOPS, OTHERS = 16, 4, 32
HIGH = 1


def decode(stack: Stack, number: int, tokens: int, priority: int = 0) -> Instance:
    words = ("--prompt", PROMPT.format(number), "--max-tokens", str(tokens), "--priority", str(priority))
    return stack.application.launch(Launch(Source(DECODER, "decoder.py"), words))


async def ready(instance: Instance) -> None:
    async for event in instance.events():
        if isinstance(event, Message):
            return
    raise RuntimeError(f"the program ended early: {await instance.wait()}")


async def begin(instances: list[Instance]) -> list[Instance]:
    """When all of them have read their prompts."""
    await asyncio.gather(*map(ready, instances))
    for instance in instances:
        instance.post("go")
    return instances


async def gaps(instances: list[Instance]) -> list[float]:
    """Milliseconds between tokens, of all of them."""
    times = [json.loads(result_of(await instance.wait())) for instance in instances]
    return [1e3 * (after - before) for own in times for before, after in pairwise(own)]


async def decoders(stack: Stack, tokens: int, loops: int) -> list[float]:
    busy = [stack.application.launch(Launch(Source(LOOP, "loop.py"))) for _ in range(loops)]
    started = await begin([decode(stack, number, tokens) for number in range(DECODERS)])
    found = await gaps(started)
    await ended(busy)
    return found


async def privileged(stack: Stack, tokens: int, others: int) -> list[float]:
    low = await begin([decode(stack, number, 8 * tokens) for number in range(others)])
    found = await gaps(await begin([decode(stack, OTHERS, tokens, HIGH)]))
    await ended(low)
    return found


async def ended(instances: list[Instance]) -> None:
    for instance in instances:
        instance.cancel()
    await asyncio.gather(*(instance.wait() for instance in instances))


async def everything(report: Report) -> None:
    quick = report.options.quick
    async with local_stack() as stack:
        await gaps(await begin([decode(stack, 0, 16)]))
        for _ in range(2 if quick else 5):
            for beside in (0, LOOPS):
                keep(report, "decoders", beside, await decoders(stack, 100, beside))
            for beside in (0, OTHERS):
                keep(report, "high priority", beside, await privileged(stack, 100, beside))


def keep(report: Report, scene: str, beside: int, found: list[float]) -> None:
    figures = {"median_ms": statistics.median(found), "p99_ms": percentile(found, 0.99), "max_ms": max(found)}
    mean = statistics.fmean(found)
    report.runs.append({"scene": scene, "beside": beside, "mean_ms": mean, **figures})
    print(report.runs[-1], file=sys.stderr, flush=True)


def ratio(report: Report, scene: str, figure: str) -> float:
    """With others to alone, round by round: the median."""
    runs: list[dict[str, Any]] = [run for run in report.runs if run["scene"] == scene]
    pairs = zip(runs[::2], runs[1::2], strict=True)
    ratios: list[float] = [beside[figure] / alone[figure] for alone, beside in pairs]
    return statistics.median(ratios)


def main(given: Options) -> int:
    report = Report("neighbours", given, {"decoders": DECODERS, "loops": LOOPS, "others": OTHERS})
    run(everything(report))
    beside, high = ratio(report, "decoders", "p99_ms"), ratio(report, "high priority", "mean_ms")
    report.require("p99 gap beside guests that compute / alone", beside, at_most=1.5)
    report.require("mean gap of a high priority beside others / alone", high, at_most=1.3)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
