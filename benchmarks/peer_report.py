"""What `peers.py` makes of its runs: figures, bars, tables."""

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from harness import RESULTS, Report, percentile
from peer_quality import equal_quality
from peer_rows import PIE, PIE_FP32, PIE_INT8, Row
from rich.console import Console
from rich.table import Table

Runs = list[dict[str, Any]]
COLUMNS = (
    ("1: decode tokens/s", 1, "decode_per_s"),
    ("1: first token, ms", 1, "ttft_ms"),
    ("8: tokens/s", 8, "total_per_s"),
    ("8: p99 gap, ms", 8, "p99_gap_ms"),
    ("32: tokens/s", 32, "total_per_s"),
    ("32: p99 gap, ms", 32, "p99_gap_ms"),
)


def figures(arrivals: list[list[float]]) -> dict[str, float]:
    """Of one wave. A program that gives its tokens in one piece has no gaps and no rate of decoding."""
    end = max(times[-1] for times in arrivals)
    made = {
        "total_per_s": sum(map(len, arrivals)) / end,
        "ttft_ms": 1e3 * statistics.fmean(times[0] for times in arrivals),
    }
    if all(times[-1] - times[0] > 1e-3 for times in arrivals):
        gaps = [after - before for times in arrivals for before, after in pairwise(times)]
        made |= {"p99_gap_ms": 1e3 * percentile(gaps, 0.99), "median_gap_ms": 1e3 * statistics.median(gaps)}
        made["decode_per_s"] = statistics.fmean((len(t) - 1) / (t[-1] - t[0]) for t in arrivals)
    return made


def values(runs: Runs, row: str, streams: int, figure: str) -> list[float]:
    waves = (run for run in runs if run["kind"] == "wave" and (run["row"], run["streams"]) == (row, streams))
    return [run[figure] for run in waves if figure in run]


def middle(runs: Runs, row: str, streams: int, figure: str) -> float | None:
    found = values(runs, row, streams, figure)
    return statistics.median(found) if found else None


class Judge:
    """Bars of one of Pie's rows against the best of some peers."""

    def __init__(self, report: Report, rows: Iterable[Row]) -> None:
        self._report = report
        self._peers = [row for row in rows if row.engine.peer]

    def compare(
        self,
        about: str,
        pie: str,
        streams: int,
        figure: str,
        counts: Callable[[Row], bool],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """No bar where nothing is there to compare."""
        runs = self._report.runs
        own = middle(runs, pie, streams, figure)
        found = {r.name: middle(runs, r.name, streams, figure) for r in self._peers if counts(r)}
        known = {name: value for name, value in found.items() if value}
        if own is None or not known:
            return
        best = (min if at_least is None else max)(known, key=lambda name: known[name])
        name = f"{streams}: {about} / {best}"
        self._report.require(name, own / known[best], at_least=at_least, at_most=at_most)


def judge(report: Report, rows: tuple[Row, ...]) -> None:
    """Each figure against the best of all peers that count: one may be quick to begin, another to go on."""
    equal, judged = equal_quality(report), Judge(report, rows)

    def good(row: Row) -> bool:
        return row.engine.name in equal

    judged.compare("decode tokens/s", PIE.name, 1, "decode_per_s", good, at_least=1.5)
    judged.compare("decode tokens/s, any quality", PIE.name, 1, "decode_per_s", lambda _: True, at_least=1.1)
    judged.compare("time to first token", PIE.name, 1, "ttft_ms", good, at_most=0.8)
    for streams in (8, 32):
        judged.compare("tokens/s", PIE.name, streams, "total_per_s", good, at_least=1.5)
        judged.compare("p99 gap", PIE.name, streams, "p99_gap_ms", good, at_most=0.8)
    for own in (PIE_INT8, PIE_FP32):
        compare_precision(judged, own.name, own.precision)


def compare_precision(judged: Judge, pie: str, precision: str) -> None:
    def same(row: Row) -> bool:
        return row.engine.precision == precision

    for streams, figure in ((1, "decode_per_s"), (8, "total_per_s"), (32, "total_per_s")):
        judged.compare(f"tokens/s, {precision} both", pie, streams, figure, same, at_least=1.2)


def cells(runs: Runs, row: str, engine: str) -> list[str]:
    """Medians, and the spread where there are several; the quality last."""
    made = []
    for _, streams, figure in COLUMNS:
        found = values(runs, row, streams, figure)
        spread = f" ({min(found):.0f} to {max(found):.0f})" if len(found) > 1 else ""
        made.append(f"{statistics.median(found):.0f}{spread}" if found else "")
    losses = [run["nll"] for run in runs if run["kind"] == "quality" and run["engine"] == engine]
    return [*made, f"{losses[0]:.3f}" if losses and losses[0] else ""]


def engine_of(row: str, engines: set[str]) -> str:
    return next(name for name in sorted(engines, key=len, reverse=True) if row.startswith(name))


def show(report: Report, rows: tuple[Row, ...]) -> None:
    table = Table(title="medians (least to most)")
    for column in ("engine", *(name for name, _, _ in COLUMNS), "NLL"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.name, *cells(report.runs, row.name, row.engine.name))
    Console(file=sys.stderr, width=None if sys.stderr.isatty() else 160).print(table)
    for run in report.runs:
        if run["kind"] == "missing":
            print(f"not measured: {run['engine']}: {run['reason']}", file=sys.stderr)


def markdown(name: str) -> str:
    """The table of a kept result, for `docs/performance.md`."""
    result = json.loads((RESULTS / f"{name}.json").read_text())
    runs = result["runs"]
    engines = {run["engine"] for run in runs if run["kind"] == "quality"}
    rows = list(dict.fromkeys(run["row"] for run in runs if run["kind"] == "wave"))
    lines = [f"| {' | '.join(('engine', *(name for name, _, _ in COLUMNS), 'NLL'))} |", "|---" * 8 + "|"]
    lines += [f"| {' | '.join((row, *cells(runs, row, engine_of(row, engines))))} |" for row in rows]
    lines += ["", "| bar | value | bound | |", "|---|---|---|---|"]
    for bar in result["bars"]:
        sign, kept = "≤" if bar["at_most"] else "≥", "kept" if bar["ok"] else "**falls short**"
        lines.append(f"| {bar['name']} | {bar['value']:.2f} | {sign} {bar['bound']:g} | {kept} |")
    return "\n".join(lines)
