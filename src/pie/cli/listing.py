"""Rows for people and for programs."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """To standard output; cells are plain text, and wide tables are not cut when piped."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def escape(text: str) -> str:
    return text.replace("[", r"\[")


def shown_seconds(seconds: float) -> str:
    """3.2 s, 4 min, 2 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.0f} h"
