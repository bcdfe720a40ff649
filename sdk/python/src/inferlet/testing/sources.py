"""Programs to run on the fake: text, or files."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceText:
    """A program as text."""

    text: str
    filename: str = "program.py"
    first_line: int = 1
    entry: str | None = None


Readable = SourceText | Path | str
"""A program: its text, or its file."""


def read_source(program: Readable) -> SourceText:
    """The text of a program, whatever it is given as."""
    if isinstance(program, SourceText):
        return program
    path = Path(program)
    return SourceText(path.read_text(encoding="utf-8"), filename=path.name)
