"""`python benchmarks [--quick]`: every benchmark, one after the other, each in its own process."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
NAMES = (
    "launch",
    "overhead",
    "policies",
    "constrained",
    "runahead",
    "contention",
    "inference",
    "start",
    "latency",
    "neighbours",
    "scale",
)


def main() -> int:
    failed = []
    for name in NAMES:
        print(f"== {name}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, str(FOLDER / f"{name}.py"), *sys.argv[1:]], cwd=FOLDER.parent, check=False
        )
        if done.returncode:
            failed.append(name)
    if failed:
        print("bars fall short in: " + ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
