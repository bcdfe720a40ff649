"""One pass: what the driver executes at once, and what comes back. Physical ids only.

All numbers are flat `array` columns (int32, unless it is said otherwise), so that they cross the process wall
as raw buffers; texts are lists of `str`. Ragged things use offsets: row i of `x` is
`x[x_starts[i] : x_starts[i + 1]]`.

The driver executes the parts in this order: pages that leave for the host and those that come back, fresh
pages, copies (one after the other), page masks, embeds
(of tokens, then of what token slots held before the pass), forwards (all segments as one flat batch), then
distributions, scores and samples.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from enum import IntEnum
from typing import Any, NamedTuple


def ints() -> "array[int]":
    return array("i")


def offsets() -> "array[int]":
    return array("i", (0,))


def longs() -> "array[int]":
    """Unsigned, 64 bits."""
    return array("Q")


def floats() -> "array[float]":
    """32 bits."""
    return array("f")


def doubles() -> "array[float]":
    return array("d")


def octets() -> "array[int]":
    """Unsigned, 8 bits."""
    return array("B")


def texts() -> list[str]:
    return []


@dataclass(slots=True)
class Pass:
    """Filled by the planner, then only read."""

    number: int

    swap_outs: "array[int]" = field(default_factory=ints)
    """Rows of two: page, and the place in host memory or on disk that takes all of it."""
    swap_ins: "array[int]" = field(default_factory=ints)
    """Rows of two: place, and the page that becomes what it holds. After all `swap_outs`."""

    fresh_pages: "array[int]" = field(default_factory=ints)
    """Pages with a new owner: all their tokens count as not written, and can be seen once they are."""

    copies: "array[int]" = field(default_factory=ints)
    """Rows of five: source page, source offset, target page, target offset, length (tokens). Keys, values,
    position, written and visible; the source is read whole before the target changes."""

    page_masks: "array[int]" = field(default_factory=ints)
    """Rows of two: page, visible bits (bit i set: token i can be seen; as a signed int32)."""

    embed_tokens: "array[int]" = field(default_factory=ints)
    embed_positions: "array[int]" = field(default_factory=ints)
    embed_slots: "array[int]" = field(default_factory=ints)
    """Embedding slot that token `embed_tokens[i]` at `embed_positions[i]` is written to."""

    inputs: "array[int]" = field(default_factory=ints)
    """Embedding slot of each input token, all segments one after the other."""
    input_starts: "array[int]" = field(default_factory=offsets)
    """Offsets into `inputs`, one row a segment (a segment is one forward command)."""
    targets: "array[int]" = field(default_factory=ints)
    """For each input: page * page_size + offset its keys and values go to, or -1 for nowhere."""
    read_pages: "array[int]" = field(default_factory=ints)
    read_starts: "array[int]" = field(default_factory=offsets)
    """Pages each segment may see, one row a segment: the tokens written there before this pass. A token
    that the segment itself writes over is not among them."""
    outputs: "array[int]" = field(default_factory=ints)
    """Rows of two: index into `inputs`, embedding slot its final hidden state (before the last norm) goes to,
    with the input's position."""

    masked: "array[int]" = field(default_factory=ints)
    """Segments that bring a mask (ascending indices)."""
    mask_runs: "array[int]" = field(default_factory=ints)
    mask_starts: "array[int]" = field(default_factory=offsets)
    """One row for each input of each masked segment: runs, alternately hidden and visible, over the
    tokens of `read_pages` (page_size each, in that order) and then over the segment's inputs."""

    adapted: "array[int]" = field(default_factory=ints)
    """Rows of two, by ascending segment: a segment that goes through a LoRA adapter, and which one (an index
    into `DriverSpec.adapters`). What it writes to pages is what the adapter made of it."""

    watched: "array[int]" = field(default_factory=ints)
    """Segments (ascending indices) whose attention is measured. They bring no mask and store nothing."""

    matcher_drops: "array[int]" = field(default_factory=ints)
    """Matchers that are needed no more; before all else that concerns matchers."""
    matcher_ops: "array[int]" = field(default_factory=ints)
    """Rows of four, executed one after the other before all that uses a matcher: what to do (`MatcherOp`),
    target, other, and how many tokens of `matcher_data` belong to it."""
    matcher_data: "array[int]" = field(default_factory=ints)
    """The tokens of those that advance, in their order."""
    grammar_texts: list[str] = field(default_factory=texts)
    """The grammars of those that load, in their order."""
    matcher_reads: "array[int]" = field(default_factory=ints)
    """Rows of two: matcher and `MatcherQuestion`. Answered when everything else in the pass has been done."""
    dist_matchers: "array[int]" = field(default_factory=ints)
    """For each distribution: the matcher whose tokens it is restricted to, or -1. Empty: none has one."""

    dist_slots: "array[int]" = field(default_factory=ints)
    dist_top_k: "array[int]" = field(default_factory=ints)
    dist_tokens: "array[int]" = field(default_factory=ints)
    dist_token_starts: "array[int]" = field(default_factory=offsets)
    """Per distribution: the hidden state's slot, how many best tokens, and the tokens to score exactly."""

    slot_sources: "array[int]" = field(default_factory=ints)
    slot_positions: "array[int]" = field(default_factory=ints)
    slot_embs: "array[int]" = field(default_factory=ints)
    """Embedding slot that the token which token slot `slot_sources[i]` held before the pass is written to, at
    `slot_positions[i]`."""

    score_slots: "array[int]" = field(default_factory=ints)
    score_targets: "array[int]" = field(default_factory=ints)
    """Tokens to score exactly: the hidden state's embedding slot, and the token that comes next."""

    sample_embs: "array[int]" = field(default_factory=ints)
    sample_slots: "array[int]" = field(default_factory=ints)
    sample_matchers: "array[int]" = field(default_factory=ints)
    """Per sample: the hidden state's embedding slot, the token slot that takes the token, the matcher that
    restricts it and moves on (-1: none). No two samples of a pass name one slot, or one matcher."""
    sample_top_k: "array[int]" = field(default_factory=ints)
    sample_numbers: "array[float]" = field(default_factory=doubles)
    """Rows of six, 64 bits: temperature, top-p, min-p, repetition, presence and frequency penalty."""
    sample_seeds: "array[int]" = field(default_factory=longs)
    seen_tokens: "array[int]" = field(default_factory=ints)
    seen_token_starts: "array[int]" = field(default_factory=offsets)
    seen_slots: "array[int]" = field(default_factory=ints)
    seen_slot_starts: "array[int]" = field(default_factory=offsets)
    """What the penalties of each sample count: tokens, and token slots as they were before the pass."""

    @property
    def token_count(self) -> int:
        return len(self.inputs)


class FaultKind(IntEnum):
    """Which rows of a pass a fault speaks of."""

    MATCHER_OP = 0
    MATCHER_READ = 1
    DIST = 2
    SAMPLE = 3
    SWAP_IN = 4
    """What was kept on disk could not be brought back; the page is empty."""


class RowFault(NamedTuple):
    """A command of a pass that failed alone; all others have been executed. Its row of the result, or what it
    leaves behind, is something harmless."""

    kind: FaultKind
    row: int
    message: str


@dataclass(frozen=True, slots=True)
class PassResult:
    """Columns again: distribution i has `top_starts[i+1] - top_starts[i]` best tokens, descending."""

    number: int
    seconds: float
    """Time the driver spent on it."""
    top_tokens: "array[int]" = field(default_factory=ints)
    top_probs: "array[float]" = field(default_factory=floats)
    top_starts: "array[int]" = field(default_factory=offsets)
    chosen_logprobs: "array[float]" = field(default_factory=floats)
    """For each of the pass's `dist_tokens`: its natural log-probability under the full distribution."""
    entropies: "array[float]" = field(default_factory=floats)
    """In nats, one a distribution."""
    error: str = ""
    """Why the pass failed; nothing else is then filled."""
    best_logits: "array[float]" = field(default_factory=floats)
    """The raw logit of each distribution's best token."""
    score_logprobs: "array[float]" = field(default_factory=floats)
    """For each of `score_targets`: its natural log-probability."""
    attention: "array[float]" = field(default_factory=floats)
    """For each watched segment: the share of attention (mean over layers, heads and inputs) on each of its
    read pages, then that on its inputs."""
    sampled: "array[int]" = field(default_factory=ints)
    """The token of each sample."""
    matcher_answers: "array[int]" = field(default_factory=ints)
    matcher_answer_starts: "array[int]" = field(default_factory=offsets)
    """One row for each of the pass's `matcher_reads`."""
    fault_rows: "array[int]" = field(default_factory=ints)
    fault_texts: list[str] = field(default_factory=texts)
    """Commands that failed alone: rows of two (`FaultKind`, row of the pass), and why."""

    def faults(self) -> list[RowFault]:
        rows = zip(self.fault_rows[::2], self.fault_rows[1::2], self.fault_texts, strict=True)
        return [RowFault(FaultKind(kind), row, text) for kind, row, text in rows]


def fault_columns(faults: Sequence[RowFault]) -> dict[str, Any]:
    """The columns that tell of `faults`."""
    rows = array("i", [number for fault in faults for number in fault[:2]])
    return {"fault_rows": rows, "fault_texts": [fault.message for fault in faults]}


def column_types(kind: type[Pass] | type[PassResult]) -> Mapping[str, str]:
    """The columns by name, each with its `array` type code; "" for a list of texts."""
    columns = {one.name: one.default_factory() for one in fields(kind) if one.default_factory is not MISSING}
    return {name: column.typecode if isinstance(column, array) else "" for name, column in columns.items()}
