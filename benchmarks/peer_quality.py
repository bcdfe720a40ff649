"""How good is the model that each engine computes? Mean negative log-likelihood of a text, by its numbers.

llama.cpp rates the second half of each window, so everybody's losses are taken from there. A peer's figure
does not change from run to run and is kept beside its environment; Pie's own is always measured.
"""

import hashlib
import json

from harness import Report
from peer_process import PeerFailed, PeerProcess
from peer_rows import ENVS, PIE_FP32

WINDOW, WINDOWS = 1024, 3
KEPT = ENVS / "quality.json"
SCORE_SECONDS = 90.0
WITHIN = 0.01
"""So much above fp32's it may be, to count as equal."""


class Quality:
    """Notes each engine's figure as a run of the report."""

    def __init__(self, tokens: list[int], report: Report) -> None:
        self._windows = [tokens[n * WINDOW : (n + 1) * WINDOW] for n in range(WINDOWS)]
        self._report = report
        self._kept = read_kept()

    def add(self, process: PeerProcess) -> None:
        value, source = score(process, self._windows, self._kept)
        run = {"kind": "quality", "engine": process.engine.name, "nll": value, "by": source}
        self._report.runs.append(run | {"version": process.version, "start_s": process.start_seconds})
        KEPT.write_text(json.dumps(self._kept, indent=1))

    def ensure_reference(self) -> None:
        """fp32's figure, also where no row of the report is in fp32."""
        if all(run["engine"] != PIE_FP32.name for run in self._report.runs if run["kind"] == "quality"):
            with PeerProcess(PIE_FP32) as process:
                process.wait_ready()
                self.add(process)


def score(process: PeerProcess, windows: list[list[int]], kept: dict[str, float]) -> tuple[float | None, str]:
    """The figure, and where it comes from."""
    engine = process.engine
    key = f"{engine.name} | {process.version} | {hashlib.sha256(str(windows).encode()).hexdigest()[:12]}"
    if engine.peer and key in kept:
        return kept[key], "its own numbers, of an earlier run"
    try:
        with process.awake():
            found = process.score(windows, WINDOW // 2, SCORE_SECONDS)
    except PeerFailed as error:
        return None, str(error)
    if found is not None and engine.peer:
        kept[key] = found
    return found, "its own numbers" if found is not None else "it gives no such numbers"


def read_kept() -> dict[str, float]:
    try:
        kept: dict[str, float] = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        return {}
    return kept


def equal_quality(report: Report) -> set[str]:
    """Names of the engines whose model is as good as fp32's."""
    found = {run["engine"]: run["nll"] for run in report.runs if run["kind"] == "quality" and run["nll"]}
    bound = found.get(PIE_FP32.name, 0.0) * (1 + WITHIN)
    return {name for name, nll in found.items() if nll <= bound}
