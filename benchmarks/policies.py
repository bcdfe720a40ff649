"""When to send a pass: how many completions a second does each policy finish with 128 at once?

A closed loop, as in the publication: 128 clients, each of which asks for a text completion, waits for it and
asks for the next one. Prompts and lengths differ, so programs begin and end at all times and are never in
step. Two kinds of programs: `ahead` is `Context.generate`, as in `text-completion`, whose steps are queued
ahead of it; `by step` asks for each token's distribution and picks from it, as all programs of the
publication do.

`eager`, `k-only` and `t-only` are the publication's: one kind of command a pass, one pass in flight. Ours,
`adaptive`, sends everything in one pass when nobody is left to wait for, and sends ahead where that leaves
out nobody. For honesty t-only is also measured with fused passes, which the publication did not have (no
bar: it is ours but for the waiting). T and K are tuned first. Then the policies take turns in one server,
whose clients go on all the time: the machine is not equally fast from one minute to the next, and a turn's
rates are compared with one another only. A rate is that of the tokens made between two returning passes, by
the mean length of a completion.
"""

import asyncio
import contextlib
import itertools
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from harness import Options, Report, finish, options
from stack import local_stack, result_of, run

from pie.control.settings import ControlSettings
from pie.core.programs import Launch, Limits, Source
from pie.launch import Stack

CLIENTS = 128
THREADS = 2
"""Of the driver, which then shares all cores of a small machine with the host, as it does for a user."""
PROGRAM = """
from inferlet import Context

async def main(prompt: str, max_tokens: int, load: str):
    with Context() as context:
        context.fill(prompt)
        pick = None if load == "ahead" else lambda dist: dist.max_index()
        return await context.generate(max_tokens, pick, stop_tokens=())
"""
LOADS = ("ahead", "by step")
TEXT = "the sea was grey nobody in old harbour town could say when rain"
WORDS = TEXT.split()
LENGTHS = range(64, 193)
"""Tokens of a completion; of a prompt about 8 to 24. The first of each client is shorter, so that some end at
all times from the beginning."""
MEAN_TOKENS = statistics.fmean(LENGTHS)


@dataclass(frozen=True, slots=True)
class Way:
    policy: str
    fuse: bool
    value: float | None = None
    """T in milliseconds, or K."""

    @property
    def settings(self) -> dict[str, Any]:
        tuned = {"t-only": "t_ms", "k-only": "k"}.get(self.policy)
        chosen: dict[str, Any] = {"policy": self.policy, "fuse": self.fuse}
        return chosen | ({tuned: self.value} if tuned else {})


ADAPTIVE = Way("adaptive", True)
EAGER = Way("eager", False)
T_VALUES = (2.0, 5.0, 10.0, 20.0, 40.0)
K_VALUES = (32, 64, 112)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    begin: float
    tune: float
    turn: float
    turns: int
    settle: float = 1.5
    """After a change of policy, before anything counts."""


QUICK = Times(begin=4, tune=0, turn=3.2, turns=3, settle=1.0)
FULL = Times(begin=10, tune=8, turn=12, turns=5)


def requests(dice: random.Random, load: str) -> Iterator[Launch]:
    for number in itertools.count():
        prompt = " ".join(dice.choices(WORDS, k=dice.randint(8, 24)))
        length = dice.choice(LENGTHS)
        if number < CLIENTS:
            length = dice.randint(8, length)
        args = ("--prompt", prompt, "--max-tokens", str(length), "--load", load)
        yield Launch(Source(PROGRAM, "policies.py"), args, Limits(cpu_seconds=300.0, wall_seconds=900.0))


async def client(stack: Stack, launches: Iterator[Launch]) -> None:
    while True:
        result_of(await stack.application.launch(next(launches)).wait())


@contextlib.asynccontextmanager
async def clients(stack: Stack, load: str, seed: int) -> AsyncIterator[None]:
    launches = requests(random.Random(seed), load)
    tasks = [asyncio.create_task(client(stack, launches)) for _ in range(CLIENTS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def made(stack: Stack) -> int:
    """Tokens chosen so far."""
    (model,) = stack.control.statistics().models.values()
    return model.dists + model.samples


async def rate(stack: Stack, seconds: float) -> float:
    """Tokens a second, from one returning pass to another."""
    until = time.perf_counter() + seconds
    last = made(stack)
    marks: list[tuple[float, int]] = []
    while (now := time.perf_counter()) < until or len(marks) < 3:
        if (count := made(stack)) != last:
            marks.append((now, count))
            last = count
        await asyncio.sleep(0.002)
    (began, before), (ended, after) = marks[0], marks[-1]
    return (after - before) / (ended - began)


async def measure(report: Report, stack: Stack, load: str, way: Way, turn: int, seconds: float) -> None:
    stack.control.adopt(ControlSettings(**way.settings))
    await asyncio.sleep(report.settings["settle"])
    (before,) = stack.control.statistics().models.values()
    began, processor = time.perf_counter(), time.process_time()
    tokens = await rate(stack, seconds)
    (after,) = stack.control.statistics().models.values()
    report.runs.append(
        {
            "load": load,
            "policy": way.policy,
            "fuse": way.fuse,
            "value": way.value,
            "turn": turn,
            "requests_per_second": tokens / MEAN_TOKENS,
            "tokens_per_second": tokens,
            "passes": after.passes - before.passes,
            "host_processor": (time.process_time() - processor) / (time.perf_counter() - began),
            "input_tokens": after.tokens - before.tokens,
            "driver_busy": (after.driver_seconds - before.driver_seconds) / (time.perf_counter() - began),
        }
    )
    print(report.runs[-1], file=sys.stderr)


def rates(report: Report, load: str, way: Way) -> list[float]:
    """Of its turns."""
    found = [run for run in report.runs if run["load"] == load and run["turn"]]
    key = (way.policy, way.fuse)
    return [run["requests_per_second"] for run in found if (run["policy"], run["fuse"]) == key]


async def tuned(report: Report, stack: Stack, load: str, seconds: float) -> list[Way]:
    """The best T, without and with fused passes, and the best K."""
    if not seconds:
        return [Way("t-only", False, 5.0), Way("t-only", True, 5.0)]
    families = [[Way("t-only", fuse, t) for t in T_VALUES] for fuse in (False, True)]
    families.append([Way("k-only", False, k) for k in K_VALUES])
    best = []
    for family in families:
        began = len(report.runs)
        for way in family:
            await measure(report, stack, load, way, 0, seconds)
        found = report.runs[began:]
        best.append(family[max(range(len(found)), key=lambda n: found[n]["requests_per_second"])])
    return best


async def everything(report: Report, times: Times, load: str) -> None:
    async with local_stack(threads=THREADS) as stack, clients(stack, load, report.options.seed):
        await asyncio.sleep(times.begin)
        best = await tuned(report, stack, load, times.tune)
        for turn in range(times.turns):
            ways = [ADAPTIVE, *best, EAGER]
            for way in ways if turn % 2 else reversed(ways):
                await measure(report, stack, load, way, turn + 1, times.turn)


def ratio(report: Report, load: str, way: Way) -> float:
    """Of adaptive to another, turn by turn: the median."""
    pairs = zip(rates(report, load, ADAPTIVE), rates(report, load, way), strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def judge(report: Report, load: str) -> None:
    published = ratio(report, load, Way("t-only", False))
    report.require(f"{load}: adaptive / best t-only, as published", published, at_least=1.05)
    eager = ratio(report, load, EAGER)
    if load == "ahead":
        report.require(f"{load}: adaptive / eager, as published", eager, at_least=8.0)
    fused = ratio(report, load, Way("t-only", True))
    said = f"{eager:.2f} x eager, {published:.2f} x t-only, {fused:.2f} x t-only that fuses"
    print(f"{load}: adaptive is {said}", file=sys.stderr)


def main(given: Options) -> int:
    times = QUICK if given.quick else FULL
    about = {"clients": CLIENTS, "mean_tokens": MEAN_TOKENS, "threads": THREADS}
    report = Report("policies", given, about | asdict(times))
    for load in LOADS[:1] if given.quick else LOADS:
        run(everything(report, times, load))
        judge(report, load)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
