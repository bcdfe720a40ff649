"""How many programs does one host carry? Launches all at once, the memory of those that wait, and whether
they cost those that decode anything.

896 programs are launched from source text in one go: from the request to each one's first message, and the
host's processor time for each. Then 2,000 programs hold the pages of a conversation and wait for a tool that
the client runs, while 32 decode as they did without them, by turns. Memory is the host's proportional share:
what processes share counts once.
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path

from harness import Options, Report, finish, options, percentile
from stack import local_stack, result_of, run

from pie.application import Instance
from pie.core.events import Message
from pie.core.programs import Launch, Source
from pie.launch import Stack

HELLO = "from inferlet import send\ndef main():\n    send('here')\n"
WAITING = """
from inferlet import Context, receive, send

async def main(prompt: str):
    with Context() as context:
        context.fill(prompt)
        await context.flush()
        send("what does the tool say?")
        context.fill(await receive())
"""
DECODER = """
import time
from inferlet import Context

async def main(prompt: str, max_tokens: int):
    with Context() as context:
        context.fill(prompt)
        await context.flush()
        began = time.monotonic()
        await context.generate(max_tokens, stop_tokens=())
        return str(time.monotonic() - began)
"""
PROMPT = "Number {} of the stories that the old lighthouse keeper told begins with"
AT_ONCE, MANY, DECODERS = 896, 2000, 32
TOKENS = 128
EMBS = 1 << 16
"""Each context that waits keeps as many as its prompt had tokens."""


def launch(stack: Stack, text: str, *words: str) -> Instance:
    return stack.application.launch(Launch(Source(text, "scale.py"), words))


async def first_message(instance: Instance) -> float:
    """When it came."""
    async for event in instance.events():
        if isinstance(event, Message):
            return time.perf_counter()
    raise RuntimeError(f"the program ended early: {await instance.wait()}")


async def launched_at_once(report: Report, stack: Stack) -> None:
    began, processor = time.perf_counter(), time.process_time()
    instances = [launch(stack, HELLO) for _ in range(AT_ONCE)]
    times = [came - began for came in await asyncio.gather(*map(first_message, instances))]
    await asyncio.gather(*(instance.wait() for instance in instances))
    own = (time.process_time() - processor) / AT_ONCE
    median, p99 = statistics.median(times), percentile(times, 0.99)
    note(report, kind="at once", median_s=median, p99_s=p99, own_ms=1e3 * own)


async def waiting(stack: Stack, count: int) -> list[Instance]:
    instances = [launch(stack, WAITING, "--prompt", PROMPT.format(n)) for n in range(count)]
    await asyncio.gather(*map(first_message, instances))
    return instances


async def decode(report: Report, stack: Stack, beside: int) -> None:
    words = [("--prompt", PROMPT.format(n), "--max-tokens", str(TOKENS)) for n in range(DECODERS)]
    instances = [launch(stack, DECODER, *each) for each in words]
    seconds = [float(result_of(await instance.wait())) for instance in instances]
    note(report, kind="decoding", beside=beside, ms_a_token=1e3 * statistics.median(seconds) / TOKENS)


def memory() -> dict[str, float]:
    """MB of this process by kind."""
    found: dict[str, float] = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        found[name.rstrip(":")] = int(size) / 1024
    return found


async def everything(report: Report) -> None:
    rounds = 1 if report.options.quick else 2
    many = MANY // 4 if report.options.quick else MANY
    async with local_stack(embs=EMBS) as stack:
        await asyncio.gather(*map(first_message, [launch(stack, HELLO) for _ in range(64)]))
        for _ in range(rounds):
            await launched_at_once(report, stack)
        await decode(report, stack, 0)
        for _ in range(rounds):
            await decode(report, stack, 0)
            before = memory()
            instances = await waiting(stack, many)
            grown = {name: (size - before[name]) / many for name, size in memory().items()}
            each = {name: grown[name] for name in ("Pss", "Private_Dirty", "Rss")}
            note(report, kind="memory of each that waits, MB", programs=many, **each)
            await decode(report, stack, many)
            for instance in instances:
                instance.cancel()
            await asyncio.gather(*(instance.wait() for instance in instances))


def note(report: Report, **found: str | float) -> None:
    report.runs.append(found)
    print(found, file=sys.stderr, flush=True)


def figures(report: Report, kind: str, name: str) -> list[float]:
    return [run[name] for run in report.runs if run["kind"].startswith(kind)]


def main(given: Options) -> int:
    report = Report("scale", given, {"at_once": AT_ONCE, "waiting": MANY, "decoders": DECODERS})
    run(everything(report))
    own = statistics.median(figures(report, "at once", "own_ms"))
    report.require("own work for a launch, of many at once, ms", own, at_most=10.0)
    report.require("MB of a program that waits", max(figures(report, "memory", "Pss")), at_most=6.0)
    paces = figures(report, "decoding", "ms_a_token")[1:]
    slower = statistics.median(beside / alone for alone, beside in zip(paces[::2], paces[1::2], strict=True))
    report.require("time of a token beside those that wait / alone", slower, at_most=1.05)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
