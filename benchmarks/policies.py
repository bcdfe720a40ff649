"""When to send a pass: how many completions a second does each policy finish with 128 at once?

A closed loop, as in the publication: 128 clients, each of which asks for a text completion, waits for it and
asks for the next one. Prompts and lengths differ, so programs begin and end at all times and are never in
step. Two kinds of programs: `by step` asks for each token's distribution and picks from it, as all programs
of the publication do; `ahead` is `Context.generate`, whose steps are queued ahead of it.

`eager`, `k-only` and `t-only` are the publication's: one kind of command a pass, one pass in flight. Ours,
`adaptive`, sends everything in one pass when nobody is left to wait for, and sends ahead where that leaves
out nobody. For honesty the others are also measured with fused passes, which the publication did not have. T
and K are tuned: the best of several counts. A rate is the tokens made in a window, by the mean length of a
request; eager gets a longer window, because it takes longer until its programs are out of step.
"""

import asyncio
import itertools
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness import Options, Report, finish, options
from stack import local_stack, result_of, run

from pie.core.programs import Launch, Source
from pie.launch import Stack

CLIENTS = 128
THREADS = 1
"""Of the driver. With one, the device has a core of its own, as an accelerator has; where it shares all cores
with the host, time in which it idles is time in which the host gets on, and no policy can gain much."""
PROGRAM = """
from inferlet import Context

async def main(prompt: str, max_tokens: int, load: str):
    with Context() as context:
        context.fill(prompt)
        pick = None if load == "ahead" else lambda dist: dist.max_index()
        return await context.generate(max_tokens, pick, stop_tokens=())
"""
LOADS = ("by step", "ahead")
TEXT = "the sea was grey nobody in old harbour town could say when rain"
WORDS = TEXT.split()
LENGTHS = range(8, 41)
"""Tokens of a completion; of a prompt about 8 to 24."""
MEAN_TOKENS = statistics.fmean(LENGTHS)


@dataclass(frozen=True, slots=True)
class Way:
    policy: str
    fuse: bool
    value: float | None = None
    """T in milliseconds, or K."""

    @property
    def settings(self) -> dict[str, Any]:
        tuned = {"t-only": "policy_t_ms", "k-only": "policy_k"}.get(self.policy)
        chosen: dict[str, Any] = {"policy": self.policy, "fuse": self.fuse, "threads": THREADS}
        return chosen | ({tuned: self.value} if tuned else {})


def requests(dice: random.Random, load: str) -> Iterator[Launch]:
    while True:
        prompt = " ".join(dice.choices(WORDS, k=dice.randint(8, 24)))
        args = ("--prompt", prompt, "--max-tokens", str(dice.choice(LENGTHS)), "--load", load)
        yield Launch(Source(PROGRAM, "policies.py"), args)


async def client(stack: Stack, launches: Iterator[Launch], until: float) -> int:
    """How many completions one client got."""
    for done in itertools.count():
        instance = stack.application.launch(next(launches))
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                result_of(await instance.wait())
        except TimeoutError:
            instance.cancel()
            return done
    return 0


def made(stack: Stack) -> int:
    """Tokens chosen so far."""
    (model,) = stack.control.statistics().models.values()
    return model.dists + model.samples


async def measure(report: Report, load: str, way: Way, warm: float, window: float) -> None:
    async with local_stack(**way.settings) as stack:
        launches = requests(random.Random(report.options.seed), load)
        until = time.monotonic() + warm + window
        clients = asyncio.gather(*(client(stack, launches, until) for _ in range(CLIENTS)))
        await asyncio.sleep(warm)
        before, began = made(stack), time.perf_counter()
        await asyncio.sleep(window - 0.5)
        tokens, seconds = made(stack) - before, time.perf_counter() - began
        finished = sum(await clients)
        (model,) = stack.control.statistics().models.values()
    report.runs.append(
        {
            "load": load,
            "policy": way.policy,
            "fuse": way.fuse,
            "value": way.value,
            "requests_per_second": tokens / seconds / MEAN_TOKENS,
            "tokens_per_second": tokens / seconds,
            "requests_finished": finished,
            "passes": model.passes,
            "driver_busy": model.driver_seconds / (warm + window),
        }
    )
    print(report.runs[-1], file=sys.stderr)


def best(report: Report, load: str, policy: str, fuse: bool) -> float:
    """Of all tuned values: the highest median of their runs."""
    rates: dict[Any, list[float]] = {}
    for one in report.runs:
        if (one["load"], one["policy"]) == (load, policy) and one["fuse"] == fuse:
            rates.setdefault(one["value"], []).append(one["requests_per_second"])
    return max(map(statistics.median, rates.values()), default=float("nan"))


def ways(quick: bool) -> list[Way]:
    if quick:
        t_only = [Way("t-only", fuse, 10.0) for fuse in (False, True)]
        return [Way("adaptive", True), *t_only, Way("eager", False)]
    tuned = [Way("t-only", fuse, t) for fuse in (False, True) for t in (2.0, 5.0, 10.0, 20.0, 40.0)]
    tuned += [Way("k-only", fuse, k) for fuse in (False, True) for k in (32, 64, 112)]
    return [Way("adaptive", True), *tuned, Way("eager", False), Way("eager", True)]


async def everything(report: Report) -> None:
    quick = report.options.quick
    loads, (warm, window) = (LOADS[:1], (4.0, 7.0)) if quick else (LOADS, (10.0, 30.0))
    for _ in range(1 if quick else 3):
        for load, way in itertools.product(loads, ways(quick)):
            longer = 2 if way.policy == "eager" else 1
            await measure(report, load, way, longer * warm, longer * window)


def main(given: Options) -> int:
    report = Report("policies", given, {"clients": CLIENTS, "mean_tokens": MEAN_TOKENS, "threads": THREADS})
    run(everything(report))
    for load in LOADS[:1] if given.quick else LOADS:
        ours = best(report, load, "adaptive", fuse=True)
        published = best(report, load, "t-only", fuse=False)
        report.require(f"{load}: adaptive / best t-only, as published", ours / published, at_least=1.05)
        fused = best(report, load, "t-only", fuse=True)
        report.require(f"{load}: adaptive / best t-only with fused passes", ours / fused, at_least=1.05)
        eager = best(report, load, "eager", fuse=False)
        report.require(f"{load}: adaptive / eager, as published", ours / eager, at_least=8.0)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
