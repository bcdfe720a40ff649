"""What can be launched, and with what limits."""

import math
from dataclasses import dataclass, field

DEFAULT_TENANT = "default"
"""Whose programs are those of which nobody says more."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Python program as text, executed by the runner guest."""

    text: str
    filename: str = "inferlet.py"
    first_line: int = 1
    """Line of the user's file on which `text` begins, so that tracebacks name the user's own line."""
    entry: str | None = None
    """A function to call with JSON arguments (`args[0]` is `{"args": [...], "kwargs": {...}}`); its
    result comes back as JSON. None: `main`, with options from the arguments."""


@dataclass(frozen=True, slots=True)
class Component:
    """An uploaded WebAssembly component, by the SHA-256 of its bytes."""

    digest: str


@dataclass(frozen=True, slots=True)
class Standard:
    """A standard inferlet, by name."""

    name: str


Program = Source | Component | Standard


@dataclass(frozen=True, slots=True)
class Limits:
    """What one inferlet may use. Passing one ends it with `Failed("limit", ...)` or an error of the call."""

    memory_bytes: int = 128 << 20
    cpu_seconds: float = 10.0
    wall_seconds: float = 600.0
    wait_seconds: float = 60.0
    """How long its launch may wait for a place; 0: it is refused where there is none."""
    calls_in_flight: int = 4096
    """Futures not yet dropped and commands not yet executed, together."""
    message_bytes: int = 1 << 20
    """One message, blob, log piece or text argument."""
    pages: int = 1 << 20
    """Key-value pages held at once, on all models together."""
    children: int = 16
    """Programs that it has spawned and that are still alive; theirs count too."""
    tokens: float = math.inf
    """Input tokens through models; of this and the following, those of programs that it spawns count too."""
    compute_ms: float = math.inf
    """Of the devices' time."""
    page_seconds: float = math.inf
    host_calls: float = math.inf
    bytes_out: float = math.inf
    """Messages and HTTP requests."""
    hosts: tuple[str, ...] | None = None
    """Hosts it may talk to, out of those that the operator allows; None: all of those."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What all programs of a tenant may use together: at a time, or (the second half) in each period."""

    programs: float = math.inf
    children: float = math.inf
    """Programs that others have spawned."""
    pages: float = math.inf

    tokens: float = math.inf
    compute_ms: float = math.inf
    page_seconds: float = math.inf
    host_calls: float = math.inf
    bytes_out: float = math.inf


@dataclass(frozen=True, slots=True)
class Launch:
    program: Program
    args: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    tenant: str = DEFAULT_TENANT
    """Whose names (pages, topics, store keys) it sees."""
