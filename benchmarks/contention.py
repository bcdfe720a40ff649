"""More programs than pages: does everybody finish, with the tokens they give alone, and what does it cost?

Completions that all start at once, on a server whose pages suffice for all of them, for half, a quarter and
an eighth. Then agents, which hold their pages while they wait for a tool and then need more of them: the
deadlock of systems in which memory is held until its owner lets go. Last a quiet tenant's short completions,
alone and beside a tenant that floods the server with long ones, twice as many as there are pages for.
"""

import asyncio
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from harness import Options, Report, finish, options
from stack import local_stack, result_of, run

from pie.core.programs import Launch, Source
from pie.launch import Stack

COMPLETION = """
from inferlet import Context

async def main(prompt: str, max_tokens: int, turns: int):
    with Context() as context:
        context.fill(prompt)
        await context.generate(max_tokens, stop_tokens=())
        return context.tokens[-max_tokens:]
"""
AGENT = """
import asyncio
from inferlet import Context

async def main(prompt: str, max_tokens: int, turns: int):
    with Context() as context:
        context.fill(prompt)
        for turn in range(turns):
            await context.generate(max_tokens // turns, stop_tokens=())
            await asyncio.sleep(0.1)  # a tool, while the pages stay
            context.fill(f" The tool says {turn}.")
        return context.tokens
"""
PROMPT = (
    "Story number {} of the old lighthouse keeper, who had lived on the rock for forty years and had seen "
    "more ships than anybody else on that coast, begins like this:"
)
DEMANDS = (1, 2, 4, 8)
SHARE = 0.5
"""Of the pages that a flood wants, so many are there."""
PAGE = 16
TURNS = 4
TOOL_TOKENS = 8
"""Of a tool's answer, at most."""


async def together(stack: Stack, text: str, count: int, tokens: int) -> tuple[list[str], float]:
    def launch(n: int) -> Any:
        args = ("--prompt", PROMPT.format(n), "--max-tokens", str(tokens), "--turns", str(TURNS))
        return stack.application.launch(Launch(Source(text, "contention.py"), args))

    began = time.perf_counter()
    instances = [launch(n) for n in range(count)]
    results = [result_of(ended) for ended in await asyncio.gather(*(one.wait() for one in instances))]
    return results, time.perf_counter() - began


async def measure(report: Report, kind: str, text: str, demand: int, count: int, tokens: int) -> None:
    most = 40 + tokens + (TURNS * TOOL_TOKENS if kind == "agents" else 0)
    pages = count * -(-most // PAGE) // demand
    # In one layout of the weights: a program's tokens then do not depend on how many others run.
    host_pages = 2 * count * -(-most // PAGE)
    async with local_stack(pages=pages, host_pages=host_pages, precision="int8") as stack:
        results, seconds = await together(stack, text, count, tokens)
        (model,) = stack.control.statistics().models.values()
        stack.control.check_integrity()
    report.runs.append(
        {
            "kind": kind,
            "demand": demand,
            "programs": count,
            "tokens_per_second": count * tokens / seconds,
            "passes": model.passes,
            "suspensions": model.suspensions,
            "pages": pages,
            "results": results,
        }
    )
    print({name: value for name, value in report.runs[-1].items() if name != "results"}, file=sys.stderr)


@dataclass(frozen=True)
class Flood:
    """`streams` of the quiet tenant complete `requests` each, `tokens` long, beside `loud` long ones."""

    streams: int
    requests: int
    tokens: int
    loud: int
    loud_tokens: int

    async def measure(self, report: Report) -> None:
        each = -(-(40 + self.loud_tokens) // PAGE)
        pages = int(self.loud * each * SHARE)
        async with local_stack(pages=pages, host_pages=4 * pages, precision="int8") as stack:
            await self._quiet(stack)
            alone = await self._quiet(stack)
            flood = asyncio.create_task(self._flood(stack))
            await self._quiet(stack)
            beside = await self._quiet(stack)
            flood.cancel()
            await asyncio.wait([flood])
        report.runs.append({"kind": "flood", **asdict(self), "alone": alone, "beside": beside})
        shown = (f"{name} p50 {quantile(one, 50):.2f} p99 {quantile(one, 99):.2f} s" for name, one in
                 (("alone", alone), ("beside the flood", beside)))  # fmt: skip
        print("quiet tenant:", *shown, sep=" ", file=sys.stderr)

    async def _quiet(self, stack: Stack) -> list[float]:
        """Seconds of each request."""
        streams = (self._stream(stack, number) for number in range(self.streams))
        return [seconds for some in await asyncio.gather(*streams) for seconds in some]

    async def _stream(self, stack: Stack, number: int) -> list[float]:
        return [await complete(stack, "quiet", number, self.tokens) for _ in range(self.requests)]

    async def _flood(self, stack: Stack) -> None:
        await asyncio.gather(*(self._loud(stack, 100 + number) for number in range(self.loud)))

    async def _loud(self, stack: Stack, number: int) -> None:
        while True:
            await complete(stack, "loud", number, self.loud_tokens)


async def complete(stack: Stack, tenant: str, number: int, tokens: int) -> float:
    """Seconds from the launch to the end."""
    args = ("--prompt", PROMPT.format(number), "--max-tokens", str(tokens), "--turns", "1")
    began = time.perf_counter()
    instance = stack.application.launch(Launch(Source(COMPLETION, "contention.py"), args, tenant=tenant))
    try:
        result_of(await instance.wait())
    finally:
        instance.cancel()
    return time.perf_counter() - began


def quantile(seconds: list[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


async def everything(report: Report) -> None:
    quick = report.options.quick
    flood = Flood(8, 4, 32, 64, 512) if quick else Flood(8, 8, 64, 256, 512)
    for _ in range(1 if quick else 3):
        await flood.measure(report)
    count, tokens = (32, 64) if quick else (256, 512)
    for _ in range(1 if quick else 3):
        for kind, text in (("completions", COMPLETION), ("agents", AGENT)):
            for demand in DEMANDS:
                await measure(report, kind, text, demand, count, tokens)


def rate(runs: list[dict[str, Any]], demand: int) -> float:
    """The median of its runs, in tokens a second."""
    rates: list[float] = [run["tokens_per_second"] for run in runs if run["demand"] == demand]
    return statistics.median(rates)


def main(given: Options) -> int:
    report = Report("contention", given, {"demands": DEMANDS})
    run(everything(report))
    for kind in ("completions", "agents"):
        runs = [run for run in report.runs if run["kind"] == kind]
        same = sum(run["results"] == runs[0]["results"] for run in runs)
        report.require(f"{kind}: runs in which all finish with equal tokens", same, at_least=len(runs))
        report.require(f"{kind}: throughput at 4x / at 1x", rate(runs, 4) / rate(runs, 1), at_least=0.8)
    floods = [run for run in report.runs if run["kind"] == "flood"]
    slower = [quantile(run["beside"], 99) / quantile(run["alone"], 99) for run in floods]
    report.require("quiet tenant beside a flood: p99 / alone", statistics.median(slower), at_most=2.0)
    for one in report.runs:
        one.pop("results", None)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
