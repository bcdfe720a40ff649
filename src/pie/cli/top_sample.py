"""Two looks at a server become rates: what `pie top` shows, and prints with `--json`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Look = Mapping[str, Any]
"""An answer of `GET /v1/statistics`."""


class Model(NamedTuple):
    name: str
    down: str
    """Why it has no driver; empty while it has."""
    tokens_per_second: float
    passes_per_second: float
    pass_ms: float
    batch: str
    """Queues served by one pass, as a range in which the median lies; "-" where there was no pass."""
    queued_commands: int
    passes_in_flight: int
    suspended: int
    pages: int
    pages_total: int
    host_pages: int


class Program(NamedTuple):
    id: str
    program: str
    tenant: str
    doing: str
    tools: list[str]
    pages: int
    host_pages: int
    tokens: int
    tokens_per_second: float
    cpu_percent: float
    age_seconds: float


class Sample(NamedTuple):
    seconds: float
    """Between the two looks."""
    states: dict[str, int]
    """Programs by what they do."""
    launched: int
    ended: int
    models: list[Model]
    programs: list[Program]
    """The busiest first."""


def make_sample(before: Look, after: Look) -> Sample:
    seconds = max(1e-3, after["at"] - before["at"])
    old = {row["id"]: row for row in before["rows"]}
    programs = [_program(old.get(row["id"]), row, seconds, after["at"]) for row in after["rows"]]
    states: dict[str, int] = {}
    for each in programs:
        states[each.doing] = states.get(each.doing, 0) + 1
    models = [
        _model(name, before["models"].get(name, found), found, seconds)
        for name, found in after["models"].items()
    ]
    counts = after["programs"]
    return Sample(
        seconds, states, counts["launched"], sum(counts["ended"].values()), models,
        sorted(programs, key=lambda each: (-each.tokens_per_second, -each.pages, -each.cpu_percent)),
    )  # fmt: skip


def _program(old: Look | None, row: Look, seconds: float, now: float) -> Program:
    start = old or {"tokens": 0, "cpu_seconds": 0.0}
    since = min(seconds, max(1e-3, now - row["started_at"]))
    return Program(
        row["id"], row["program"], row["tenant"], row["doing"], row["tools"], row["pages"],
        row["host_pages"], row["tokens"],
        (row["tokens"] - start["tokens"]) / since,
        100 * (row["cpu_seconds"] - start["cpu_seconds"]) / since,
        max(0.0, now - row["started_at"]),
    )  # fmt: skip


def _model(name: str, before: Look, after: Look, seconds: float) -> Model:
    passes = after["passes"] - before["passes"]
    time = after["driver_seconds"] - before["driver_seconds"]
    old = before["batch_sizes"]
    sizes = {int(size): count - old.get(size, 0) for size, count in after["batch_sizes"].items()}
    pages = after["pages"]
    return Model(
        name, after["down"],
        (after["tokens"] - before["tokens"]) / seconds,
        passes / seconds,
        1000 * (time / passes if passes else after["pass_seconds"]),
        median_range(sizes),
        after["queued_commands"], after["passes_in_flight"], after["suspended"],
        pages["held"], pages["total"], pages["swapped"],
    )  # fmt: skip


def median_range(sizes: Mapping[int, int]) -> str:
    """`sizes`: counts by size, rounded up to powers of two."""
    half, seen = sum(sizes.values()) / 2, 0
    for size, count in sorted(sizes.items()):
        seen += count
        if count and seen >= half:
            return str(size) if size <= 2 else f"{size // 2 + 1}-{size}"
    return "-"
