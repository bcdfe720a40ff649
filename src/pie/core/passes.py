"""One pass: what the driver executes at once, and what comes back. Physical ids only.

All numbers are flat `array('i')` columns (int32), so that they cross the process wall as raw buffers.
Ragged things use offsets: row i of `x` is `x[x_starts[i] : x_starts[i + 1]]`.

The driver executes the parts in this order: fresh pages, copies (one after the other), page masks,
embeds, forwards (all segments as one flat batch), distributions.
"""

from array import array
from dataclasses import dataclass, field


def ints() -> "array[int]":
    return array("i")


def offsets() -> "array[int]":
    return array("i", (0,))


@dataclass(slots=True)
class Pass:
    """Filled by the planner, then only read."""

    number: int

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

    dist_slots: "array[int]" = field(default_factory=ints)
    dist_top_k: "array[int]" = field(default_factory=ints)
    dist_tokens: "array[int]" = field(default_factory=ints)
    dist_token_starts: "array[int]" = field(default_factory=offsets)
    """Per distribution: the hidden state's slot, how many best tokens, and the tokens to score exactly."""

    @property
    def token_count(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, slots=True)
class PassResult:
    """Columns again: distribution i has `top_starts[i+1] - top_starts[i]` best tokens, descending."""

    number: int
    seconds: float
    """Time the driver spent on it."""
    top_tokens: "array[int]" = field(default_factory=ints)
    top_probs: "array[float]" = field(default_factory=lambda: array("f"))
    top_starts: "array[int]" = field(default_factory=offsets)
    chosen_logprobs: "array[float]" = field(default_factory=lambda: array("f"))
    """For each of the pass's `dist_tokens`: its natural log-probability under the full distribution."""
    entropies: "array[float]" = field(default_factory=lambda: array("f"))
    """In nats, one a distribution."""
    error: str = ""
    """Why the pass failed; nothing else is then filled."""
