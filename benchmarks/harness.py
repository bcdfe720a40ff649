"""What every benchmark shares: its options, its bars, and the file its results are kept in."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "wasmtime", "numpy", "msgspec", "uvloop")


@dataclass(frozen=True, slots=True)
class Bar:
    """A bound that a figure has to keep. `at_most` says on which side."""

    name: str
    value: float
    bound: float
    at_most: bool

    @property
    def ok(self) -> bool:
        return self.value <= self.bound if self.at_most else self.value >= self.bound


@dataclass(frozen=True, slots=True)
class Options:
    quick: bool
    json: bool
    seed: int


@dataclass(slots=True)
class Report:
    """Figures of one benchmark run. `runs` holds whatever the question needs, a dict a run."""

    benchmark: str
    options: Options
    settings: dict[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def require(
        self, name: str, value: float, *, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        bound = at_most if at_most is not None else at_least
        if bound is None:
            raise ValueError("a bar needs at_most or at_least")
        self.bars.append(Bar(name, value, bound, at_most is not None))


def options(description: str) -> Options:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="end within 60 seconds on 2 cores")
    parser.add_argument("--json", action="store_true", help="the last line of output is one JSON object")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    given = parser.parse_args()
    return Options(given.quick, given.json, given.seed)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile; `share` in 0..1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(values: Sequence[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "mean": statistics.fmean(values),
        "min": min(values),
        "median": statistics.median(values),
        "p90": percentile(values, 0.90),
        "p99": percentile(values, 0.99),
        "max": max(values),
    }


def finish(report: Report) -> int:
    """Prints the bars, keeps the result file, and gives the exit code: 1 where a bar falls short."""
    result = as_json(report)
    keep(report, result)
    show(report)
    if report.options.json:
        print(json.dumps(result))
    return 0 if all(bar.ok for bar in report.bars) else 1


def as_json(report: Report) -> dict[str, Any]:
    return {
        "benchmark": report.benchmark,
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "settings": report.settings | {"quick": report.options.quick, "seed": report.options.seed},
        "runs": report.runs,
        "bars": [asdict(bar) | {"ok": bar.ok} for bar in report.bars],
    }


def keep(report: Report, result: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    suffix = "-quick" if report.options.quick else ""
    (RESULTS / f"{report.benchmark}{suffix}.json").write_text(json.dumps(result, indent=1) + "\n")


def show(report: Report) -> None:
    table = Table(title=f"{report.benchmark}: bars")
    for column in ("bar", "value", "bound", ""):
        table.add_column(column)
    for bar in report.bars:
        sign = "≤" if bar.at_most else "≥"
        table.add_row(
            bar.name, f"{bar.value:.4g}", f"{sign} {bar.bound:g}", "ok" if bar.ok else "FALLS SHORT"
        )
    Console(file=sys.stderr).print(table)


def commit() -> str:
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> dict[str, Any]:
    cpu = "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0] if names else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
