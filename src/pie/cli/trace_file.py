"""Timelines as files."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from pie.core.errors import InvalidArgument


def check_writable(path: Path) -> None:
    """Raises `InvalidArgument` before anything is run for a file that cannot be written afterwards."""
    folder = path.parent
    if not folder.is_dir():
        raise InvalidArgument(f"there is no folder {folder} for {path.name}: make it first")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise InvalidArgument(f"{path} cannot be written ({os.strerror(errno.EACCES)})")


def write_trace(path: Path, timeline: dict[str, Any]) -> None:
    path.write_text(json.dumps(timeline, separators=(",", ":")))
