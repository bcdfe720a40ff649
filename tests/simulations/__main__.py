"""Seeded simulations: `python tests/simulations --count 10000 --seed 1`. Exit code 1: one has failed."""

import argparse
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "control")]  # where the naive model lives

from simulation import Simulation  # noqa: E402 (needs the path above)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="simulations")
    parser.add_argument("--seed", type=int, default=1, help="of the first")
    parser.add_argument("--keep-going", action="store_true", help="after one that failed")
    options = parser.parse_args()
    failed: list[int] = []
    counts: Counter[str] = Counter()
    began = time.monotonic()
    for done in range(options.count):
        seed = options.seed + done
        try:
            counts += Simulation(seed).run().counts
        except Exception:
            traceback.print_exc()
            failed.append(seed)
            print(f"seed {seed} failed; again: python tests/simulations --count 1 --seed {seed}", flush=True)
            if not options.keep_going:
                break
        show(done + 1, options.count, began)
    print("".join(f"\n{name}: {count}" for name, count in sorted(counts.items())))
    print(f"{len(failed)} failed{': ' if failed else ''}{' '.join(map(str, failed))}")
    return 1 if failed else 0


def show(done: int, count: int, began: float) -> None:
    """A bar on a terminal, and lines now and then elsewhere."""
    seconds = time.monotonic() - began
    left = seconds / done * (count - done)
    text = f"{done} of {count} simulations, {seconds:.0f} s, {left:.0f} s to go"
    if sys.stdout.isatty():
        filled = 30 * done // count
        print(f"\r[{'#' * filled}{' ' * (30 - filled)}] {text}  ", end="", flush=True)
    elif done == count or done % max(1, count // 10) == 0:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
