"""Makes the virtual environment with the pinned packages, saying what it does. Standard library only.

python scripts/setup_environment.py .venv
"""

import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ((3, 11), (3, 13))


def say(text: str) -> None:
    print(f"[setup] {text}", file=sys.stderr, flush=True)


def check_python() -> None:
    low, high = SUPPORTED
    if not low <= sys.version_info[:2] <= high:
        have = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"Pie needs Python {low[0]}.{low[1]} to {high[0]}.{high[1]}, this is {have}: "
            f"run `make PYTHON=python3.11 ...`"
        )


def pip(folder: Path, *args: str) -> None:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    bar = ["--progress-bar", "on" if sys.stderr.isatty() else "off"]
    done = subprocess.run([*command, *bar, "-c", str(ROOT / "constraints.txt"), *args], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(
            "pip could not install the packages (its reason stands above): is a package registry reachable?"
        )


def main() -> None:
    check_python()
    folder, began = ROOT / sys.argv[1], time.monotonic()
    say(f"making the virtual environment {folder}")
    venv.create(folder, with_pip=True, clear=folder.exists())
    say("installing torch 2.13.0 (step 1 of 2, about half a minute)")
    pip(folder, "-q", "torch==2.13.0")
    say("installing Pie and the other packages (step 2 of 2, about half a minute)")
    pip(folder, "-q", "-e", "sdk/python", "-e", ".[dev]")
    say(f"ready after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
