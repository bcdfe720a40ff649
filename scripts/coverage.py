"""Which calls of the contract the conformance tests cover: writes `docs/api/coverage.md`.

`python scripts/coverage.py` writes the page; `--check` fails where the page is old or a call is not covered.
"""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api" / "coverage.md"
TESTS = ROOT / "tests" / "conformance"
USES = ("right", "wrong", "limit")
INTERFACE = re.compile(r"^interface ([\w-]+) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
FUNCTION = re.compile(r"^  ([\w-]+): func\((.*?)\)(?: -> (.*?))?;", re.DOTALL | re.MULTILINE)
OWN = "source"
"""Only the runner guest has it."""
HEAD = """# Coverage

Each call of [the contract](../../wit/pie.wit), and how many tests in `tests/conformance` cover it: its
right use, its wrong uses, and what happens at the limits. All of them go through a real sandbox. A dash
stands where there is nothing to test: a call that cannot fail, or takes nothing. `scripts/coverage.py`
makes this page from the WIT and the tests, and `make lint` checks it.
"""


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    """`allocate.alloc-kvpage`"""
    takes: bool
    """It has parameters."""
    fails: bool
    """It can answer with an error."""

    def needs(self, use: str) -> bool:
        return {"right": True, "wrong": self.fails and self.takes, "limit": self.takes}[use]


def calls() -> list[Call]:
    """In the order of the WIT."""
    text = re.sub(r"//.*", "", (ROOT / "wit" / "pie.wit").read_text())
    return [
        Call(f"{interface}.{name}", bool(params.strip()), "error>" in (result or ""))
        for interface, body in INTERFACE.findall(text)
        if interface != OWN
        for name, params, result in FUNCTION.findall(body)
    ]


def covered() -> Counter[tuple[str, str]]:
    """How many tests have the marker `call(name, use)`: pytest says, for many are made from tables."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        str(TESTS),
        "--marked-calls",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("call ")]
    return Counter((name, use) for _, name, use in found)


def table(known: list[Call], counts: Counter[tuple[str, str]]) -> str:
    lines = ["", "| call | right | wrong | at the limits |", "|---|---|---|---|"]
    for call in known:
        cells = [str(counts[call.name, use] or ("" if call.needs(use) else "–")) for use in USES]
        lines.append(f"| `{call.name}` | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{len(known)} calls, {counts.total()} cases.", ""])


def gaps(known: list[Call], counts: Counter[tuple[str, str]]) -> list[str]:
    names = {call.name for call in known}
    lacking = [
        f"no test covers {call.name}, use: {use}"
        for call in known
        for use in USES
        if call.needs(use) and not counts[call.name, use]
    ]
    strangers = [
        f"a test covers {name}, which the WIT does not have" for name, _ in counts if name not in names
    ]
    return lacking + strangers


def main(arguments: list[str]) -> int:
    known, counts = calls(), covered()
    page = HEAD + table(known, counts)
    problems = gaps(known, counts)
    if "--check" in arguments:
        if not PAGE.exists() or PAGE.read_text() != page:
            problems.append(f"{PAGE.relative_to(ROOT)} is old: run python scripts/coverage.py")
    else:
        PAGE.write_text(page)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
