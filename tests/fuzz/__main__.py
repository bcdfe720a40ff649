"""The fuzz in full: `python tests/fuzz [--calls 100000] [--seed 1] [--json]`. Exit code 1: a bar fell."""

import argparse
import asyncio
import json
import resource
import sys
import time

from fuzz import CALLS, Fuzz, alone


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(run(options.calls, options.seed))
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0 if all(bar["ok"] for bar in found["bars"]) else 1


async def run(calls: int, seed: int) -> dict[str, object]:
    fuzz, began = Fuzz(seed), time.perf_counter()
    await fuzz.run(calls // 10)
    first = Fuzz(seed + 1)
    memory = resident()
    await first.run(calls - calls // 10)
    report, statistics = first.report, first.control.statistics()
    model = statistics.models["fake"]
    held = sum(pool.held for pool in (model.pages, model.embs, model.slots, model.matchers))
    problems = fuzz.report.problems + report.problems
    same = first.neighbours_tokens == await alone(len(first.neighbours_tokens))
    bars = [
        ("calls that broke or did not say why", len(problems), 0),
        (
            "pages, embeddings, slots, matchers, queues, programs left",
            held + model.queues + statistics.sessions,
            0,
        ),
        ("neighbours harmed", 0 if same else 1, 0),
        ("functions never called", len(report.missed()), 0),
        ("MiB of memory gained after the first tenth", resident() - memory, 64),
    ]
    return {
        "benchmark": "fuzz",
        "settings": {"calls": calls, "seed": seed, "functions": len(CALLS)},
        "seconds": round(time.perf_counter() - began, 1),
        "fine": report.fine.total() + fuzz.report.fine.total(),
        "refused": dict((report.kinds + fuzz.report.kinds).most_common()),
        "waiting": (report.waited + fuzz.report.waited).total(),
        "neighbours_tokens": len(first.neighbours_tokens),
        "problems": problems[:20],
        "bars": [
            {"name": name, "value": value, "bound": most, "ok": value <= most} for name, value, most in bars
        ],
    }


def resident() -> int:
    """Most memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def show(found: dict[str, object]) -> None:
    for name in ("settings", "seconds", "fine", "refused", "waiting", "neighbours_tokens", "problems"):
        print(f"{name}: {found[name]}")
    for bar in found["bars"]:  # type: ignore[attr-defined]
        print(f"{'ok  ' if bar['ok'] else 'FAIL'} {bar['value']:>6} (at most {bar['bound']})  {bar['name']}")


if __name__ == "__main__":
    sys.exit(main())
