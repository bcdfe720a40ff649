"""Tables of `inference.py` for people, on standard error."""

import sys

from harness import Report
from rich.console import Console
from rich.table import Table


def show_times(report: Report) -> None:
    console = Console(file=sys.stderr)
    console.print(batches(report))
    console.print(lengths(report))
    console.print(qualities(report))


def table(title: str, *columns: str) -> Table:
    made = Table(title=title)
    for column in columns:
        made.add_column(column)
    return made


def of_kind(report: Report, kind: str) -> list[dict[str, object]]:
    return [run for run in report.runs if run["kind"] == kind]


def batches(report: Report) -> Table:
    times = ("median ms", "best ms", "processor ms", "products", "attention", "outside")
    made = table("a decode pass", "precision", "batch", *times)
    for run in of_kind(report, "decode"):
        known = run["share_outside"] is not None
        made.add_row(
            str(run["way"]),
            str(run["batch"]),
            f"{run['median_ms']:.1f}",
            f"{run['min_ms']:.1f}",
            f"{run['processor_ms']:.1f}",
            f"{run['product_ms']:.1f}" if known else "",
            f"{run['attention_ms']:.1f}" if known else "",
            f"{run['share_outside']:.0%}" if known else "",
        )
    for run in of_kind(report, "prefill"):
        made.add_row(str(run["way"]), f"prompt of {run['tokens']}", f"{run['median_ms']:.1f}")
    return made


def lengths(report: Report) -> Table:
    made = table("one stream, by cached tokens", "precision", "cached", "median ms", "bytes a cached token")
    for run in of_kind(report, "length"):
        cells = (run["way"], run["cached"], f"{run['median_ms']:.1f}", f"{run['bytes_per_token']:.0f}")
        made.add_row(*map(str, cells))
    return made


def qualities(report: Report) -> Table:
    made = table("quality", "precision", "tokens", "perplexity", "divergence from fp32 (nats)")
    for run in of_kind(report, "quality"):
        cells = (run["way"], run["tokens"], f"{run['perplexity']:.3f}", f"{run['divergence']:.5f}")
        made.add_row(*map(str, cells))
    return made
