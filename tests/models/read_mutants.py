"""Reads mutants in a process of its own, which may take little memory: `read_mutants.py FOLDER SEED COUNT`.

Writes a line of JSON for each to standard output: kind, wrong, error (its class, or nothing), message.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from mutants import Mutant, gguf_mutants, safetensors_mutants

from pie.core.progress import NoProgress
from pie.models.local import fetch_local
from pie.models.prepare import prepare
from pie.models.sources import LocalSource
from pie.models.tiny import write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf

ROOM_BYTES = 256 << 20
"""What the process may take beyond what it has when everything is imported and one model was read."""


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def examine_path(path: Path, workspace: Path) -> None:
    """What a pull reads and checks, without what it writes."""
    prepare(fetch_local(LocalSource(path), NoProgress()), "mutant", "test", workspace)


def outcome(mutant: Mutant, path: Path, look: Callable[[], None]) -> dict[str, object]:
    path.write_bytes(mutant.data)
    error, message = "", ""
    try:
        look()
    except BaseException as problem:
        error, message = type(problem).__name__, str(problem)
    return {"kind": mutant.kind, "wrong": mutant.wrong, "error": error, "message": message}


def report(mutants: Iterable[Mutant], path: Path, look: Callable[[], None]) -> None:
    for mutant in mutants:
        print(json.dumps(outcome(mutant, path, look)), flush=True)


def main(place: str, seed: str, count: str) -> None:
    folder, workspace = Path(place), Path(place) / "workspace"
    workspace.mkdir()
    file = write_tiny_gguf(folder / "sound.gguf")
    model = write_tiny_llama(folder / "model")
    examine_path(file, workspace)
    examine_path(model, workspace)
    ggufs = gguf_mutants(file, int(seed), int(count))
    tensors = safetensors_mutants(model / "model.safetensors", int(seed), int(count))
    limit_memory()
    bad = folder / "bad.gguf"
    report(ggufs, bad, lambda: examine_path(bad, workspace))
    report(tensors, model / "model.safetensors", lambda: examine_path(model, workspace))


if __name__ == "__main__":
    main(*sys.argv[1:])
