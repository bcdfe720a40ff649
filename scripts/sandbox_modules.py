"""Writes the list of standard modules that the runner guest has, which `pie check` and `pie build` read.

Run it when componentize-py or `sdk/runner/standard_library.py` has changed; a test says so.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from pie.application.building.imports import MODULES

PROGRAM = """
import sys

def main():
    roots = sys.stdlib_module_names
    return "\\n".join(sorted(name for name in sys.modules if name.partition(".")[0] in roots))
"""


def main() -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".py") as program:
        program.write(PROGRAM)
        program.flush()
        command = [sys.executable, "-m", "pie.cli.main", "run", program.name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        Path(MODULES).write_text(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
