"""When to send a batch: how many completions a second does each policy finish with 128 at once?

`eager`, `k-only` and `t-only` are the publication's: one kind of command a pass. Ours, `adaptive`, waits
until no program has anything more to ask, and sends everything in one pass. For honesty each of the others is
also measured with fused passes, which the publication did not have. T and K are tuned: the best of several
counts.
"""

import sys
from typing import Any

from harness import Options, Report, finish, options
from overhead import PROGRAM, decode_together
from stack import local_stack, run

PROGRAMS = 128
PROMPT = "Number {}"
TUNED_T_MS = (2.0, 5.0, 10.0, 20.0)
TUNED_K = (64, 128)


def settings_of(policy: str, fuse: bool, value: float | None) -> dict[str, Any]:
    chosen: dict[str, Any] = {"policy": policy, "fuse": fuse}
    if policy == "t-only":
        chosen["policy_t_ms"] = value
    if policy == "k-only":
        chosen["policy_k"] = value
    return chosen


async def measure(report: Report, policy: str, fuse: bool, value: float | None, tokens: int) -> None:
    """One run: all programs have read their prompts, then all decode. A request stands for 16 tokens."""
    async with local_stack(**settings_of(policy, fuse, value)) as stack:
        _, seconds = await decode_together(stack, PROGRAM, PROGRAMS, PROMPT, tokens)
    report.runs.append(
        {
            "policy": policy,
            "fuse": fuse,
            "value": value,
            "tokens": tokens,
            "seconds": seconds,
            "requests_per_second": PROGRAMS / seconds * tokens / REFERENCE_TOKENS,
            "tokens_per_second": PROGRAMS * tokens / seconds,
        }
    )


REFERENCE_TOKENS = 16


def best(report: Report, policy: str, fuse: bool) -> float:
    """Of all tuned values: the highest median of their runs."""
    values = {r["value"] for r in report.runs if (r["policy"], r["fuse"]) == (policy, fuse)}
    return max((median(report, policy, fuse, value) for value in values), default=float("nan"))


def median(report: Report, policy: str, fuse: bool, value: float | None) -> float:
    rates = sorted(
        r["requests_per_second"]
        for r in report.runs
        if (r["policy"], r["fuse"], r["value"]) == (policy, fuse, value)
    )
    return float(rates[len(rates) // 2])


async def everything(report: Report) -> None:
    quick = report.options.quick
    tokens = 8 if quick else 16
    tuned_t = (10.0,) if quick else TUNED_T_MS
    tuned_k = (128,) if quick else TUNED_K
    ways: list[tuple[str, bool, float | None]] = [("adaptive", True, None)]
    ways += [("t-only", fuse, value) for fuse in (False, True) for value in tuned_t]
    ways += [("k-only", fuse, value) for fuse in ((True,) if quick else (False, True)) for value in tuned_k]
    for _ in range(1 if quick else 3):
        for policy, fuse, value in ways:
            await measure(report, policy, fuse, value, tokens)
    for fuse in (True,) if quick else (False, True):
        await measure(report, "eager", fuse, None, 2 if quick else 8)


def main(given: Options) -> int:
    report = Report("policies", given, {"programs": PROGRAMS})
    run(everything(report))
    ours = best(report, "adaptive", True)
    report.require(
        "adaptive / best t-only, as published", ours / best(report, "t-only", False), at_least=1.05
    )
    report.require(
        "adaptive / best t-only with fused passes", ours / best(report, "t-only", True), at_least=1.05
    )
    eager = best(report, "eager", True) if given.quick else best(report, "eager", False)
    report.require("adaptive / eager", ours / eager, at_least=8.0)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
