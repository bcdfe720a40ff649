"""A program's own words about itself: the block `# /// script` (PEP 723)."""

import re
import tomllib
from typing import Any

from pie.core.errors import BadProgram

BLOCK = re.compile(r"^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$", re.MULTILINE)
"""As PEP 723 gives it."""


def dependencies(text: str, filename: str) -> tuple[str, ...]:
    """The requirements in a program's script block. Raises `BadProgram` for a block that does not parse."""
    blocks = [found for found in BLOCK.finditer(text) if found["type"] == "script"]
    if not blocks:
        return ()
    if len(blocks) > 1:
        raise BadProgram(f"{filename} has {len(blocks)} blocks `# /// script`: make them one")
    return _listed(_parse(blocks[0]["content"], filename).get("dependencies", []), filename)


def _parse(content: str, filename: str) -> dict[str, Any]:
    lines = [line.removeprefix("#").removeprefix(" ") for line in content.splitlines()]
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise BadProgram(f"the block `# /// script` of {filename} is no TOML: {error}") from None


def _listed(found: Any, filename: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadProgram(f'`dependencies` in {filename} must be a list of texts, like ["humanize"]')
    return tuple(found)
