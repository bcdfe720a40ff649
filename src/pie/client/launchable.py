"""What people may pass as a program → what the protocol takes."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pie.client.function import as_function
from pie.core.errors import InvalidArgument, NotFound
from pie.core.programs import Component, Program, Source, Standard
from pie.protocol import LaunchBody, LimitsBody

DIGEST = re.compile(r"[0-9a-f]{64}")


Launchable = str | Path | Program | Callable[..., Any]
"""A standard inferlet's name, a component's SHA-256, the path of a .py or .wasm file, a function."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A component that the server must have before `digest` can be launched."""

    wasm: bytes
    digest: str


def find_program(program: str | Path) -> Program | Upload:
    """A string is a path if it ends like one (`.py`, `.wasm`). Raises NotFound, InvalidArgument."""
    text = str(program)
    if isinstance(program, Path) or text.endswith((".py", ".wasm")):
        return read_program(Path(program))
    return Component(text) if DIGEST.fullmatch(text) else Standard(text)


def read_program(path: Path) -> Source | Upload:
    if path.suffix not in (".py", ".wasm"):
        raise InvalidArgument(f"{path} is neither a .py file nor a .wasm component")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}") from None
    if path.suffix == ".wasm":
        return Upload(content, hashlib.sha256(content).hexdigest())
    try:
        return Source(content.decode(), str(path))
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} is not UTF-8 text: {error}") from None


def to_body(program: Program, args: tuple[str, ...], limits: dict[str, Any] | None) -> LaunchBody:
    asked = None if limits is None else make_limits(limits)
    match program:
        case Source(text, filename, line, entry):
            return LaunchBody(
                source=text, filename=filename, first_line=line, entry=entry, args=list(args), limits=asked
            )
        case Component(name) | Standard(name):
            return LaunchBody(program=name, args=list(args), limits=asked)


def make_limits(limits: dict[str, Any]) -> LimitsBody:
    known = LimitsBody.__struct_fields__
    for name in limits:
        if name not in known:
            raise InvalidArgument(f"no limit is called {name!r}; there are {', '.join(known)}")
    return LimitsBody(**limits)


def understand(
    program: Launchable, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Program | Upload, tuple[str, ...], Callable[[str], Any]]:
    """The program, its arguments as strings, and how to read its result."""
    if callable(program):
        function = as_function(program)
        return function.source(), (function.arguments(*args, **kwargs),), json.loads
    refuse_values(args, kwargs)
    found = program if isinstance(program, Source | Component | Standard) else find_program(program)
    return found, args, str


def refuse_values(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if kwargs:
        raise InvalidArgument(
            f"{next(iter(kwargs))}=... is for functions; a program takes strings, as on a command line"
        )
    for arg in args:
        if not isinstance(arg, str):
            raise InvalidArgument(f"a program's arguments are strings, and {arg!r} is not")
