"""Decoding with token slots, run ahead: does a token cost more than the driver's pass?

Programs on the real model in its own process, one and 32 at a time, all decoding together. `ahead`:
`Context.generate`, whose steps are queued ahead of the program. `by step`: the same tokens by a user's own
function on each distribution, which wakes the program for every token. Wall time runs from the moment when
all have read their prompts until all are done; the driver's time is what it spent in passes meanwhile, by its
own clock.
"""

import asyncio
import statistics
import sys
import time
from typing import Any

from harness import Options, Report, finish, options
from stack import local_stack, result_of, run

from pie.application import Instance
from pie.core.events import Message
from pie.core.programs import Launch, Source
from pie.launch import Stack

PROGRAM = """
from inferlet import Context, Sampler, receive, send

async def main(prompt: str, max_tokens: int, seed: int, way: str):
    sampler = Sampler(0.8, top_p=0.95, seed=seed) if seed else None
    pick = sampler or (lambda dist: dist.max_index())
    chosen = sampler if way == "ahead" else lambda dist: pick(dist)
    with Context() as context:
        context.fill(prompt)
        await context.flush()
        send("ready")
        await receive()
        await context.generate(max_tokens, chosen, stop_tokens=())
        return context.tokens[-max_tokens:]
"""
PROMPT = "Number {} of the stories that the old lighthouse keeper told begins with"
WAYS = ("ahead", "by step")
BATCHES = (1, 32)


async def until_ready(instance: Instance) -> None:
    async for event in instance.events():
        if isinstance(event, Message):
            return
    raise RuntimeError("the program ended early: " + str(await instance.wait()))


def driver(stack: Stack) -> tuple[float, int]:
    """Seconds in passes, and passes, since the start."""
    (model,) = stack.control.statistics().models.values()
    return model.driver_seconds, model.passes


async def decode(stack: Stack, way: str, batch: int, tokens: int, seed: int) -> dict[str, Any]:
    """One run of `batch` programs. Program n draws with a seed of its own, every second one greedily."""

    def launch(n: int) -> Instance:
        options = {"prompt": PROMPT.format(n), "max-tokens": tokens, "seed": n % 2 * (seed + n), "way": way}
        args = tuple(text for name, value in options.items() for text in (f"--{name}", str(value)))
        return stack.application.launch(Launch(Source(PROGRAM, "runahead.py"), args))

    instances = [launch(n) for n in range(batch)]
    await asyncio.gather(*(until_ready(instance) for instance in instances))
    began, (seconds, passes) = time.perf_counter(), driver(stack)
    for instance in instances:
        instance.post("go")
    texts = [result_of(ended) for ended in await asyncio.gather(*(one.wait() for one in instances))]
    wall, (seconds_after, passes_after) = time.perf_counter() - began, driver(stack)
    return {
        "way": way,
        "batch": batch,
        "tokens": tokens,
        "wall_ms_per_token": 1000 * wall / tokens,
        "pass_ms": 1000 * (seconds_after - seconds) / (passes_after - passes),
        "passes_per_token": (passes_after - passes) / tokens,
        "wall / pass": wall / tokens * (passes_after - passes) / (seconds_after - seconds),
        "texts": texts,
    }


async def everything(report: Report) -> None:
    quick, seed = report.options.quick, report.options.seed
    # In one layout of the weights: with two, a token may depend on how many are decoded in its pass.
    async with local_stack(precision="int8") as stack:
        for batch in BATCHES:
            tokens = (64 if batch == 1 else 32) if quick else 128
            await decode(stack, "ahead", batch, 4, seed)
            for _ in range(2 if quick else 5):
                report.runs += [await decode(stack, way, batch, tokens, seed) for way in WAYS]


def median(report: Report, way: str, batch: int, name: str) -> float:
    values: list[float] = [r[name] for r in report.runs if (r["way"], r["batch"]) == (way, batch)]
    return statistics.median(values)


def equal_texts(report: Report, batch: int) -> float:
    """The share of programs whose tokens are the same in all runs, whatever the way."""
    runs = [run["texts"] for run in report.runs if run["batch"] == batch]
    return sum(len(set(texts)) == 1 for texts in zip(*runs, strict=True)) / batch


def main(given: Options) -> int:
    report = Report("runahead", given, {"batches": BATCHES})
    run(everything(report))
    for batch in BATCHES:
        share = median(report, "ahead", batch, "wall / pass")
        report.require(f"wall time per token / driver's pass, batch {batch}", share, at_most=1.05)
        equal = equal_texts(report, batch)
        report.require(f"same tokens as step by step, batch {batch}", equal, at_least=1.0)
        for way in WAYS:
            names = ("wall_ms_per_token", "pass_ms", "wall / pass")
            figures = ", ".join(f"{name} {median(report, way, batch, name):.4g}" for name in names)
            print(f"batch {batch}, {way}: {figures}", file=sys.stderr)
    for one in report.runs:
        del one["texts"]
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
