"""How long until a model is ready, and what does an idle server hold in memory?

Start: from the command `pie run hello` to its first output, with everything prepared (warm), and with neither
prepared weights nor compiled kernels, components and runner images (cold; the model's file and the runner's
guest are there: they are made once a machine). Memory: of `pie serve` with the default model when it is ready
and idle, all its processes: the sum of their resident memory (pages that they share count in each, so it is
an upper bound), and of their proportional share (PSS), by process.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import Options, Report, finish, options
from stack import free_port, wait_ready

from pie.models import DEFAULT_SOURCE
from pie.settings import Settings

MOST_IDLE_MB = 900
MOST_WARM_SECONDS = 1.5
SECONDS = 300
KEPT = ("models", "guests")
"""Of a home: what a cold start finds."""
GREETING = b"Hello"
PIE = (sys.executable, "-m", "pie.cli.main")


def start_once(home: Path) -> float:
    """Seconds from the command to its first output."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PIE, "run", "hello"], env={**os.environ, "PIE_HOME": str(home)}, stdout=subprocess.PIPE
    )
    if process.stdout is None:
        raise RuntimeError("no output")
    first = process.stdout.read(len(GREETING))
    seconds = time.perf_counter() - began
    process.stdout.close()
    process.wait(SECONDS)
    if first != GREETING:
        raise RuntimeError(f"pie run hello said {first!r}")
    return seconds


@contextmanager
def cold_home(home: Path) -> Iterator[Path]:
    """A home beside the real one, with links to what a cold start finds."""
    with tempfile.TemporaryDirectory(prefix="cold-", dir=home.parent) as name:
        for part in KEPT:
            if (home / part).exists():
                shutil.copytree(home / part, Path(name) / part, copy_function=os.link)
        yield Path(name)


def measure_start(report: Report, home: Path) -> None:
    quick = report.options.quick
    start_once(home)
    warm = [start_once(home) for _ in range(3 if quick else 9)]
    report.runs.append({"kind": "start", "cache": "warm", "seconds": warm})
    cold = []
    for _ in range(0 if quick else 3):  # each compiles kernels and runner, a minute or more
        with cold_home(home) as empty:
            cold.append(start_once(empty))
    if cold:
        report.runs.append({"kind": "start", "cache": "cold", "seconds": cold})
    report.require("warm start, seconds", statistics.median(warm), at_most=MOST_WARM_SECONDS)


def family(process: int) -> list[int]:
    """A process and all that it has started, directly or not."""
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def memory_of(process: int) -> dict[str, Any]:
    """Megabytes (of a million bytes)."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    command = Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    names = {"Rss": "resident", "Pss": "share", "Pss_Anon": "share_anonymous", "Pss_File": "share_files"}
    found = {own: number(text, name) * 1024 / 1e6 for name, own in names.items()}
    return {"process": command[:100], **found}


def number(text: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"this kernel does not tell {name}")
    return int(match[1])


def measure_memory(report: Report, home: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PIE_HOME": str(home)}
    process = subprocess.Popen([*PIE, "serve", "--port", str(port)], env=environment)
    try:
        wait_ready(f"http://127.0.0.1:{port}", process)
        time.sleep(2)  # what only started is over
        report.runs.append({"kind": "idle", "processes": [memory_of(own) for own in family(process.pid)]})
        use(f"http://127.0.0.1:{port}")
        time.sleep(2)
        report.runs.append({"kind": "used", "processes": [memory_of(own) for own in family(process.pid)]})
    finally:
        process.terminate()
        process.wait(30)
    for run in report.runs[-2:]:
        resident = sum(own["resident"] for own in run["processes"])
        report.require(f"resident memory, {run['kind']}, MB", resident, at_most=MOST_IDLE_MB)


def use(url: str) -> None:
    """A completion, and one that follows a grammar: after it the grammar's process is there too."""
    for program, *rest in (("text-completion", "--prompt", "Once", "--max-tokens", "16"), ("json-output",)):
        command = [*PIE, "run", "--server", url, program, "--", *rest]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=SECONDS)


def show(report: Report) -> None:
    for run in report.runs:
        if run["kind"] == "start":
            print(
                run["cache"], " ".join(f"{seconds:.2f}" for seconds in run["seconds"]), "s", file=sys.stderr
            )
            continue
        for own in run["processes"]:
            print(
                f"{run['kind']}: {own['resident']:.0f} MB resident, {own['share']:.0f} its share: "
                f"{own['process'][-60:]}",
                file=sys.stderr,
            )


def main(given: Options) -> int:
    defaults: dict[str, Any] = {}
    home = Settings(**defaults).home
    report = Report("start", given, {"model": DEFAULT_SOURCE})
    measure_start(report, home)
    measure_memory(report, home)
    show(report)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__)))
