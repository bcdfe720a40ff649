"""What does the host spend on a token? CPU time of the host process per generated token, driver excluded.

32 programs decode greedily on the real model in its own process: with `generate` (the program sleeps through
a run of steps), with `stream_tokens` (it wakes for each token), and in raw calls (five a token). The clock
starts when all have read their prompts and stops when all are done, so it holds: guests (wasm, their Python),
host calls, planning, the wire in both directions, waking up, the event loop. A second run with a meter in
every room says where it goes; the meter itself costs time, so its sum is higher.
"""

import asyncio
import functools
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from harness import Options, Report, finish, options
from stack import local_stack, result_of, run

from pie.application.hostcall import HostCalls
from pie.application.instance import Instance
from pie.application.runtime import Runtime
from pie.control import Session
from pie.control.lane import Lane
from pie.core.events import Message
from pie.core.programs import Launch, Source
from pie.inference.life import Life
from pie.launch import Stack

PROGRAM = """
from inferlet import Context, receive, send

async def main(prompt: str, max_tokens: int):
    with Context() as context:
        context.fill(prompt)
        await context.flush()
        send("ready")
        await receive()
        await context.generate(max_tokens, stop_tokens=())
        return str(len(context))
"""
STREAM_PROGRAM = PROGRAM.replace(
    "await context.generate(max_tokens, stop_tokens=())",
    "[token async for token in context.stream_tokens(max_tokens, stop_tokens=())]",
)
RAW_PROGRAM = """
from inferlet import Model, receive, send
from inferlet.raw import alloc_emb, alloc_kvpage, create_queue, embed_txt, forward, get_next_dist

async def main(prompt: str, max_tokens: int):
    model = Model()
    queue, tokens = create_queue(model.name), model.tokenize(prompt)
    size, count = model.page_size, len(tokens)
    pages = list(range((count + max_tokens) // size + 1))
    embs = list(range(count))
    alloc_kvpage(queue, pages)
    alloc_emb(queue, embs)
    embed_txt(queue, tokens, list(range(count)), embs)
    forward(queue, [], embs, pages, 0, embs[-1:])
    dist = await get_next_dist(queue, embs[-1], 1)
    send("ready")
    await receive()
    for position in range(count, count + max_tokens):
        embed_txt(queue, [dist.max_index()], [position], [0])
        last = position // size
        forward(queue, pages[: last + 1], [0], [last], position % size, [0])
        dist = await get_next_dist(queue, 0, 1)
    return str(count + max_tokens)
"""
PROGRAM_OF = {"generate": PROGRAM, "stream": STREAM_PROGRAM, "raw calls": RAW_PROGRAM}
PROGRAMS = 32
PROMPT = "Number {} of the stories that the old lighthouse keeper told begins with"
Meters = dict[str, float]


async def until_ready(instance: Instance) -> None:
    async for event in instance.events():
        if isinstance(event, Message):
            return
    raise RuntimeError("the program ended early: " + str(await instance.wait()))


async def decode_together(
    stack: Stack, program: str, programs: int, prompt: str, tokens: int, meters: Meters | None = None
) -> tuple[float, float]:
    """(CPU seconds of this process, wall seconds) for all programs, after all have read their prompts."""

    def launch(n: int) -> Instance:
        args = ("--prompt", prompt.format(n), "--max-tokens", str(tokens))
        return stack.application.launch(Launch(Source(program, "overhead.py"), args))

    instances = [launch(n) for n in range(programs)]
    await asyncio.gather(*(until_ready(instance) for instance in instances))
    if meters is not None:
        meters.clear()
    cpu, wall = time.process_time(), time.perf_counter()
    for instance in instances:
        instance.post("go")
    for ended in await asyncio.gather(*(instance.wait() for instance in instances)):
        result_of(ended)
    return time.process_time() - cpu, time.perf_counter() - wall


async def decode(
    stack: Stack, program: str, tokens: int, meters: Meters | None = None
) -> tuple[float, float]:
    return await decode_together(stack, program, PROGRAMS, PROMPT, tokens, meters)


async def measure(
    report: Report, name: str, program: str, tokens: int, meters: Meters | None = None
) -> float:
    """Microseconds a token; the median of the runs."""
    async with local_stack() as stack:
        await decode(stack, program, 4)
        found = []
        for _ in range(1 if report.options.quick or meters is not None else 5):
            cpu, wall = await decode(stack, program, tokens, meters)
            made = PROGRAMS * tokens
            found.append(1e6 * cpu / made)
            steps = {key: 1e6 * value / made for key, value in (meters or {}).items()}
            report.runs.append(
                {
                    "program": name,
                    "us_per_token": found[-1],
                    "tokens_per_second": made / wall,
                    "steps_us_per_token": steps
                    | ({"event loop and rest": found[-1] - sum(steps.values())} if steps else {}),
                }
            )
    return sorted(found)[len(found) // 2]


class Meter:
    """Thread CPU time of wrapped functions, each without those that it calls."""

    def __init__(self) -> None:
        self.seconds: Meters = defaultdict(float)
        self._inner = [0.0]

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.thread_time() - began
                self.seconds[name] += whole - self._inner.pop()
                self._inner[-1] += whole

        return timed

    def install(self) -> None:
        for owner, method, name in (
            (Runtime, "_poll", "guests: wasm, their Python, marshalling"),
            (Session, "submit", "control: checking and queueing"),
            (Lane, "pump", "control: planning"),
            (Lane, "_done", "control: results"),
            (Life, "submit", "wire: sending a pass"),
            (Life, "_receive", "wire: receiving a result"),
        ):
            setattr(owner, method, self.wrap(name, getattr(owner, method)))
        make = HostCalls.make
        HostCalls.make = lambda calls, name, binding, signature: make(  # type: ignore[method-assign,assignment]
            calls, name, self.wrap("host calls: bindings", binding), signature
        )


def main(given: Options) -> int:
    report = Report("overhead", given, {"programs": PROGRAMS})
    tokens = 64 if given.quick else 128
    cost = {name: run(measure(report, name, program, tokens)) for name, program in PROGRAM_OF.items()}
    meter = Meter()
    meter.install()
    for name, program in PROGRAM_OF.items():
        run(measure(report, f"{name}, metered", program, tokens, meter.seconds))
        show_steps(name, cost[name], report.runs[-1]["steps_us_per_token"])
    report.require("host CPU per token, greedy completion, µs", cost["generate"], at_most=120.0)
    return finish(report)


def show_steps(name: str, cost: float, steps: dict[str, float]) -> None:
    print(f"{name}: {cost:.1f} µs a token; metered:", file=sys.stderr)
    for step, value in sorted(steps.items(), key=lambda item: -item[1]):
        print(f"{value:8.1f} µs  {step}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
