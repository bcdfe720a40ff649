"""Checked commands, waiting in a queue: names have become leases, numbers are in range."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pie.control.exports import Export
from pie.control.leases import EmbLease, Kind, Lease, MatcherLease, PageLease, SlotLease
from pie.control.matcher_work import AskMatcherWork, MatcherWork
from pie.core.commands import Completion, Listener, Span
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
    ascending: bool = False
    """Known: each input has a later position than those before it."""

    def become(self, rest: "ForwardWork") -> None:
        """After a part of it has been sent."""
        self.reads, self.inputs, self.writes, self.offset = rest.reads, rest.inputs, rest.writes, rest.offset
        self.outputs, self.rows, self.ascending = rest.outputs, rest.rows, True


@dataclass(slots=True, eq=False)
class DistWork:
    emb: EmbLease
    top_k: int
    tokens: Sequence[Token]
    completion: Completion | None
    size: int
    matcher: MatcherLease | None = None


@dataclass(slots=True, eq=False)
class ReadSlotsWork(Bookkeeping):
    slots: list[SlotLease]
    completion: Completion | None


@dataclass(slots=True, eq=False)
class EmbedSlotsWork:
    slots: list[SlotLease]
    positions: Sequence[int]
    embs: list[EmbLease]
    size: int


@dataclass(frozen=True, slots=True)
class How:
    """A draw's settings, but for its seed and what penalties count."""

    numbers: tuple[float, ...]
    """Those of `Pass.sample_numbers`."""
    top_k: int
    penalises: bool


@dataclass(slots=True, eq=False)
class SampleWork:
    emb: EmbLease
    how: How
    seed: int
    seen: Sequence[int]
    seen_slots: list[SlotLease]
    slot: SlotLease
    matcher: MatcherLease | None
    size: int
    run: "DecodeWork | None" = None
    """Whose step it is."""


@dataclass(slots=True, eq=False)
class DecodeWork:
    """Steps of decoding, made one after the other: sample and, after all but the last, embed and forward."""

    how: How
    seed: int
    seen: list[int]
    """What penalties count: at first what the program names, then the tokens that are known, too."""
    seen_slots: list[SlotLease]
    position: int
    pages: list[PageLease]
    offset: int
    emb: EmbLease
    oemb: EmbLease
    steps: int
    stop: frozenset[int]
    matcher: MatcherLease | None
    adapter: str
    slot: SlotLease
    """The run's own; holds the last token."""
    completion: Listener
    size: int
    placed: int = 0
    """Parts that have been sent: three a step."""
    known: int = 0
    """Tokens that have come back."""
    over: bool = False
    """Nothing more is to be sent."""

    @property
    def simple(self) -> bool:
        """Its steps need nothing but their token."""
        return self.matcher is None and not (self.how.penalises or self.adapter)


@dataclass(slots=True, eq=False)
class ScoreWork:
    embs: list[EmbLease]
    targets: Sequence[Token]
    completion: Completion | None
    size: int


@dataclass(slots=True, eq=False)
class StatsWork:
    """A forward that stores nothing and whose attention is measured."""

    forward: ForwardWork
    completion: Completion | None
    size: int


DriverWork = (
    CopyWork
    | MaskWork
    | EmbedWork
    | ForwardWork
    | DistWork
    | EmbedSlotsWork
    | SampleWork
    | DecodeWork
    | ScoreWork
    | StatsWork
    | MatcherWork
)
Work = DriverWork | Bookkeeping
Asking = SyncWork | DistWork | ReadSlotsWork | ScoreWork | DecodeWork | StatsWork | AskMatcherWork
"""Work with a `completion`."""
