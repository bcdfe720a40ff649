"""How good is the model that each engine computes? Mean negative log-likelihood of a text, by its numbers.

llama.cpp rates the second half of each window, so everybody's losses are taken from there. A peer's figure
does not change from run to run and is kept beside its environment; Pie's own is always measured.
"""

import hashlib
import json
from collections.abc import Mapping

from harness import Report
from peer_process import PeerFailed, PeerProcess
from peer_rows import ENVS, PIE_FP32, Engine

WINDOW, WINDOWS = 1024, 3
KEPT = ENVS / "quality.json"
SCORE_SECONDS = 90.0
WITHIN = 0.01
"""So much above fp32's it may be, to count as equal."""


def measure_quality(running: Mapping[Engine, PeerProcess], tokens: list[int], report: Report) -> None:
    windows = [tokens[n * WINDOW : (n + 1) * WINDOW] for n in range(WINDOWS)]
    kept = read_kept()
    engines = dict(running)
    for engine, process in engines.items():
        value, own = score(process, windows, kept)
        report.runs.append({"kind": "quality", "engine": engine.name, "nll": value, "by": own})
    if PIE_FP32 not in engines:
        with PeerProcess(PIE_FP32) as process:
            process.wait_ready()
            value, own = score(process, windows, kept)
        report.runs.append({"kind": "quality", "engine": PIE_FP32.name, "nll": value, "by": own})
    KEPT.write_text(json.dumps(kept, indent=1))


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
