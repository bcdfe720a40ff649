"""Checked commands, waiting in a queue: names have become leases, numbers are in range."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from pie.control.leases import EmbLease, PageLease
from pie.core.commands import Completion, Span
from pie.core.ids import Token


class Kind(Enum):
    """The parts of a pass, in the order in which a driver executes them, and what needs no driver."""

    BOOKKEEPING = "bookkeeping"
    COPY = "copy"
    MASK = "mask"
    EMBED = "embed"
    FORWARD = "forward"
    DIST = "dist"


@dataclass(slots=True, eq=False)
class FreePagesWork:
    kind: ClassVar[Kind] = Kind.BOOKKEEPING
    pages: list[PageLease]
    size: int


@dataclass(slots=True, eq=False)
class FreeEmbsWork:
    kind: ClassVar[Kind] = Kind.BOOKKEEPING
    embs: list[EmbLease]
    size: int


@dataclass(slots=True, eq=False)
class ForkWork:
    kind: ClassVar[Kind] = Kind.BOOKKEEPING
    src: list[PageLease]
    dst: list[PageLease]
    size: int


@dataclass(slots=True, eq=False)
class SyncWork:
    kind: ClassVar[Kind] = Kind.BOOKKEEPING
    completion: Completion | None
    size: int = 1


@dataclass(slots=True, eq=False)
class CopyWork:
    kind: ClassVar[Kind] = Kind.COPY
    src: list[PageLease]
    dst: list[PageLease]
    spans: Sequence[Span]
    size: int


@dataclass(slots=True, eq=False)
class MaskWork:
    kind: ClassVar[Kind] = Kind.MASK
    page: PageLease
    visible: int
    """As a signed 32-bit number."""
    size: int = 1


@dataclass(slots=True, eq=False)
class EmbedWork:
    kind: ClassVar[Kind] = Kind.EMBED
    tokens: Sequence[Token]
    positions: Sequence[int]
    embs: list[EmbLease]
    size: int


@dataclass(slots=True, eq=False)
class ForwardWork:
    kind: ClassVar[Kind] = Kind.FORWARD
    reads: list[PageLease]
    inputs: list[EmbLease]
    writes: list[PageLease]
    """The pages that receive tokens, and no others."""
    offset: int
    """Token of the first of `writes` at which the first input is stored."""
    outputs: list[EmbLease]
    rows: Sequence[int]
    """Which input each of `outputs` belongs to."""
    mask: Sequence[Sequence[int]] | None
    size: int


@dataclass(slots=True, eq=False)
class DistWork:
    kind: ClassVar[Kind] = Kind.DIST
    emb: EmbLease
    top_k: int
    tokens: Sequence[Token]
    completion: Completion | None
    size: int


DriverWork = CopyWork | MaskWork | EmbedWork | ForwardWork | DistWork
Bookkeeping = FreePagesWork | FreeEmbsWork | ForkWork | SyncWork
Work = DriverWork | Bookkeeping
