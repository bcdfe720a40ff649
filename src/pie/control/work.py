"""Checked commands, waiting in a queue: names have become leases, numbers are in range."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pie.control.exports import Export
from pie.control.leases import EmbLease, Kind, Lease, MatcherLease, PageLease
from pie.core.commands import Completion, Span
from pie.core.ids import Token


@dataclass(slots=True, eq=False)
class Bookkeeping:
    """Work that needs no driver, only its turn."""

    size: int


@dataclass(slots=True, eq=False)
class FreeWork(Bookkeeping):
    kind: Kind
    leases: Sequence[Lease[Any, Any]]


@dataclass(slots=True, eq=False)
class ForkWork(Bookkeeping):
    src: list[PageLease]
    dst: list[PageLease]


@dataclass(slots=True, eq=False)
class SyncWork(Bookkeeping):
    completion: Completion | None


@dataclass(slots=True, eq=False)
class ExportWork(Bookkeeping):
    pages: list[PageLease]
    export: Export


@dataclass(slots=True, eq=False)
class CopyWork:
    src: list[PageLease]
    dst: list[PageLease]
    spans: Sequence[Span]
    size: int


@dataclass(slots=True, eq=False)
class MaskWork:
    page: PageLease
    visible: int
    """As a signed 32-bit number."""
    size: int = 1


@dataclass(slots=True, eq=False)
class EmbedWork:
    tokens: Sequence[Token]
    positions: Sequence[int]
    embs: list[EmbLease]
    size: int


@dataclass(slots=True, eq=False)
class ForwardWork:
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
    adapter: str = ""


@dataclass(slots=True, eq=False)
class DistWork:
    emb: EmbLease
    top_k: int
    tokens: Sequence[Token]
    completion: Completion | None
    size: int
    matcher: MatcherLease | None = None


DriverWork = CopyWork | MaskWork | EmbedWork | ForwardWork | DistWork
Work = DriverWork | Bookkeeping
Asking = SyncWork | DistWork
"""Work with a `completion`."""
