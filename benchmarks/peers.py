"""Is Pie faster than the engines that a user could take instead on this machine?

Each engine answers the same prompts with the same number of tokens, greedily, with two threads and prefix
caching on: one stream (128 tokens in, 128 out), 8 and 32 at once (128 in, 64 out). Engines take turns within
each round; one that is not being measured is held still. What is not set up (`benchmarks/peers/setup.sh`) is
named, and left out.

    python benchmarks/peers.py [--quick] [--only NAME ...] [--table]
"""

import argparse
import os
import random
import signal
import sys
import time
from contextlib import ExitStack
from typing import Any

from harness import Options, Report, finish, options
from peer_process import PeerFailed, PeerProcess
from peer_quality import Quality
from peer_report import figures, judge, markdown, show
from peer_rows import FULL, QUICK, Engine, Row
from quality import text

from pie.core.progress import NoProgress
from pie.models import DEFAULT_SOURCE, ModelStore, load_tokenizer
from pie.settings import default_home

PROMPT_TOKENS = 128
TOKENS_OUT = {1: 128, 8: 64, 32: 64}
ROUNDS = 3
FULL_SECONDS, QUICK_SECONDS = 1800.0, 180.0
"""After this, no further run begins."""
WAVE_SECONDS, WARM_SECONDS = 90.0, 60.0
QUIET_LOAD = 0.7
Processes = dict[Engine, PeerProcess]


def say(words: str) -> None:
    print(f"[peers] {words}", file=sys.stderr, flush=True)


class Prompts:
    """Pieces of the fixed text, each of another place: none begins as another does, so no cache holds it."""

    def __init__(self, tokens: list[int], seed: int) -> None:
        self.tokens = tokens
        places = range(len(tokens) - PROMPT_TOKENS)
        self._places = iter(random.Random(seed).sample(places, len(places)))

    def take(self, count: int) -> list[list[int]]:
        starts = [next(self._places) for _ in range(count)]
        return [self.tokens[start : start + PROMPT_TOKENS] for start in starts]


def start_all(rows: tuple[Row, ...], report: Report, quality: Quality, stack: ExitStack) -> Processes:
    """Starts them together; says what is missing or fails, and goes on. The quality of those that start
    soon is measured while others still compile."""
    started: Processes = {}
    for engine in dict.fromkeys(row.engine for row in rows):
        if engine.missing:
            leave_out(engine, engine.missing, report)
        else:
            started[engine] = stack.enter_context(PeerProcess(engine))
    for engine in sorted(started, key=lambda engine: engine.start_seconds):
        try:
            prepare(started[engine], quality)
        except PeerFailed as error:
            leave_out(engine, str(error), report)
            started.pop(engine).end()
    return started


def prepare(process: PeerProcess, quality: Quality) -> None:
    """Raises `PeerFailed`."""
    process.wait_ready()
    say(f"{process.engine.name} is ready after {process.start_seconds:.0f} s ({process.version})")
    with process.awake():
        process.wave([[7 * n + m for m in range(PROMPT_TOKENS)] for n in range(4)], 8, "stream", WARM_SECONDS)
    quality.add(process)


def leave_out(engine: Engine, reason: str, report: Report) -> None:
    say(f"{engine.name} is left out: {reason}")
    report.runs.append({"kind": "missing", "engine": engine.name, "reason": reason})


def measure(
    rows: tuple[Row, ...], running: Processes, prompts: Prompts, report: Report, until: float
) -> None:
    """Every row once a round, by turns, each time beginning with another one."""
    for number in range(2 if report.options.quick else ROUNDS):
        for streams, tokens in TOKENS_OUT.items():
            given = prompts.take(streams)
            turned = rows[number:] + rows[:number]
            for row in (row for row in turned if streams in row.streams and row.engine in running):
                if time.monotonic() > until:
                    say("no time is left: the remaining runs are left out")
                    return
                run_one(row, running, given, tokens, report)


def run_one(row: Row, running: Processes, given: list[list[int]], tokens: int, report: Report) -> None:
    about: dict[str, Any] = {"kind": "wave", "row": row.name, "streams": len(given), "tokens": tokens}
    try:
        with running[row.engine].awake() as process:
            found = figures(process.wave(given, tokens, row.way, WAVE_SECONDS))
    except PeerFailed as error:
        leave_out(row.engine, str(error), report)
        running.pop(row.engine).end()
        return
    rate, first = found["total_per_s"], found["ttft_ms"]
    say(f"{row.name}, {len(given)}: {rate:.0f} tokens/s in all, first after {first:.0f} ms")
    report.runs.append(about | found)


def chosen_rows(quick: bool, only: list[str]) -> tuple[Row, ...]:
    rows = QUICK if quick else FULL
    return tuple(r for r in rows if not only or any(word.lower() in r.name.lower() for word in only))


def load() -> float:
    """Processes that run already; says so where they would spoil the comparison."""
    busy = os.getloadavg()[0]
    if busy > QUIET_LOAD:
        say(f"the machine is busy (load {busy:.1f}): spinning engines suffer from that most: not fair")
    return busy


def own_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--table", action="store_true")
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return own


def main(given: Options, own: argparse.Namespace) -> int:
    if own.table:
        print(markdown("peers-quick" if given.quick else "peers"))
        return 0
    until = time.monotonic() + (QUICK_SECONDS if given.quick else FULL_SECONDS)
    model = ModelStore(default_home()).pull(DEFAULT_SOURCE, NoProgress())
    prompts = Prompts(load_tokenizer(model).encode(text()), given.seed)
    rows = chosen_rows(given.quick, own.only)
    settings = {"threads": 2, "prompt_tokens": PROMPT_TOKENS, "tokens_out": TOKENS_OUT, "load_before": load()}
    report = Report("peers", given, settings)
    with ExitStack() as stack:
        quality = Quality(prompts.tokens, report)
        running = start_all(rows, report, quality, stack)
        quality.ensure_reference()
        measure(rows, running, prompts, report, until)
    judge(report, rows)
    show(report, rows)
    return finish(report)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    arguments = own_arguments()
    sys.exit(main(options(__doc__), arguments))
