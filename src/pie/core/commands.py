"""What a guest may put into a command queue: one frozen class a call, with virtual ids.

Built by `application/` from the guest's arguments, checked and executed in order by `control/`.
"""

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pie.core.errors import PieError
from pie.core.grammar import Grammar
from pie.core.ids import Token, VirtualEmb, VirtualMatcher, VirtualPage, VirtualSlot

DEFAULT_TOP_K = 256


class Span(NamedTuple):
    """`length` tokens from `src_offset` of one page to `dst_offset` of another."""

    src_offset: int
    dst_offset: int
    length: int


class AllocPages(NamedTuple):
    pages: Sequence[VirtualPage]


class FreePages(NamedTuple):
    pages: Sequence[VirtualPage]


class AllocEmbs(NamedTuple):
    embs: Sequence[VirtualEmb]


class FreeEmbs(NamedTuple):
    embs: Sequence[VirtualEmb]


class CopyPages(NamedTuple):
    src: Sequence[VirtualPage]
    dst: Sequence[VirtualPage]
    spans: Sequence[Span]


class ForkPages(NamedTuple):
    src: Sequence[VirtualPage]
    dst: Sequence[VirtualPage]


class ExportPages(NamedTuple):
    """Publishes pages as they stand at its turn, under a name in the tenant's namespace."""

    pages: Sequence[VirtualPage]
    name: str
    seconds: float | None
    """How long it lasts, from its turn on; None: as long as the program."""
    max_bytes: int
    """It may take at most so much of the tenant's budget; 0: what there is."""
    about: bytes


class ImportPages(NamedTuple):
    """Maps the pages of a name, read-only, to new ids. Done at the call itself."""

    name: str
    pages: Sequence[VirtualPage]


class Exported(NamedTuple):
    """A published name."""

    name: str
    pages: int
    bytes: int
    about: builtins.bytes
    seconds_left: float | None
    """Until it may be evicted; None: it lives with its program."""
    readers: int
    """Programs that have it mapped now."""


class MaskPage(NamedTuple):
    page: VirtualPage
    visible: int
    """Bit i set: token i can be seen."""


class EmbedText(NamedTuple):
    tokens: Sequence[Token]
    positions: Sequence[int]
    embs: Sequence[VirtualEmb]


class Forward(NamedTuple):
    ikv: Sequence[VirtualPage]
    iemb: Sequence[VirtualEmb]
    okv: Sequence[VirtualPage]
    okv_offset: int
    oemb: Sequence[VirtualEmb]
    outputs: Sequence[int]
    """Indices into `iemb`; empty: the last `len(oemb)`."""
    mask: Sequence[Sequence[int]] | None
    """One row of runs for each input, alternately hidden and visible, over ikv tokens then inputs."""
    adapter: str = ""
    """Name of a LoRA adapter of the model; empty: none."""


class NextDist(NamedTuple):
    emb: VirtualEmb
    top_k: int
    tokens: Sequence[Token]
    """Tokens whose exact log-probability is wanted beside the best `top_k`."""
    matcher: VirtualMatcher | None = None
    """Only tokens that it allows; the distribution is renormalised over them."""


class AllocSlots(NamedTuple):
    slots: Sequence[VirtualSlot]


class FreeSlots(NamedTuple):
    slots: Sequence[VirtualSlot]


class SamplingSpec(NamedTuple):
    """How a token is drawn from the best 256 of a distribution: penalties, temperature, limits, draw.

    `temperature` 0 takes the best; `top_k` 0 is no limit; `repetition_penalty` 1 and the other penalties 0
    change nothing. `seen` and the tokens in `seen_slots` are what the penalties count.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seen: Sequence[Token] = ()
    seen_slots: Sequence[VirtualSlot] = ()


class Sample(NamedTuple):
    """Draws the next token at `emb` into `slot`; a matcher restricts it, and moves on by it."""

    emb: VirtualEmb
    spec: SamplingSpec
    slot: VirtualSlot
    matcher: VirtualMatcher | None


class EmbedSlots(NamedTuple):
    slots: Sequence[VirtualSlot]
    positions: Sequence[int]
    embs: Sequence[VirtualEmb]


class ReadSlots(NamedTuple):
    """Completes with the tokens, a list, as sampled by what was queued before."""

    slots: Sequence[VirtualSlot]


class DecodeAhead(NamedTuple):
    """`steps` times a sample at `oemb` and, after each but the last, the token's embedding and forward.

    Token i has position `position + i`; its keys and values go to token `offset + i` of `pages`, and it sees
    `pages` up to there. One of `stop` ends it. Its completion is a `Listener`.
    """

    spec: SamplingSpec
    position: int
    pages: Sequence[VirtualPage]
    offset: int
    emb: VirtualEmb
    oemb: VirtualEmb
    steps: int
    stop: Sequence[Token] = ()
    matcher: VirtualMatcher | None = None
    adapter: str = ""


class NewMatchers(NamedTuple):
    grammar: Grammar
    matchers: Sequence[VirtualMatcher]


class FreeMatchers(NamedTuple):
    matchers: Sequence[VirtualMatcher]


class ForkMatchers(NamedTuple):
    src: Sequence[VirtualMatcher]
    dst: Sequence[VirtualMatcher]


class AdvanceMatcher(NamedTuple):
    matcher: VirtualMatcher
    tokens: Sequence[Token]


class RollbackMatcher(NamedTuple):
    matcher: VirtualMatcher
    length: int
    """Tokens to take back."""


class ReadMatcher(NamedTuple):
    """Completes with a `MatcherState`."""

    matcher: VirtualMatcher


class MaskOfMatcher(NamedTuple):
    """Completes with bytes: token i is allowed if bit i % 8 of byte i // 8 is set."""

    matcher: VirtualMatcher


class Score(NamedTuple):
    """Completes with the natural log-probability of `targets[i]` after `embs[i]`, a list."""

    embs: Sequence[VirtualEmb]
    targets: Sequence[Token]


class AttentionStats(NamedTuple):
    """Completes with the share of attention on each page of `ikv` and, last, on the inputs, a list."""

    ikv: Sequence[VirtualPage]
    iemb: Sequence[VirtualEmb]


class Synchronize(NamedTuple):
    """Answered when everything before it in the queue has been executed."""


Command = (
    AllocPages
    | FreePages
    | AllocEmbs
    | FreeEmbs
    | CopyPages
    | ForkPages
    | MaskPage
    | ExportPages
    | ImportPages
    | EmbedText
    | Forward
    | NextDist
    | Synchronize
    | AllocSlots
    | FreeSlots
    | Sample
    | EmbedSlots
    | ReadSlots
    | DecodeAhead
    | NewMatchers
    | FreeMatchers
    | ForkMatchers
    | AdvanceMatcher
    | RollbackMatcher
    | ReadMatcher
    | MaskOfMatcher
    | Score
    | AttentionStats
)


class Completion(Protocol):
    """Where the answer to a command goes. Made by the room above, handed down, called exactly once, or never
    when its session closes first."""

    def resolve(self, value: object) -> None: ...

    def fail(self, error: PieError) -> None: ...


class Listener(Completion, Protocol):
    """A completion that hears of each step: `add` a token, then `resolve` with None after the last."""

    def add(self, token: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Dist:
    """A next-token distribution: the best tokens, descending, and facts about the full distribution.

    `tokens` and `probs` have the same length (top-K); `chosen` maps the tokens asked for to their exact
    natural log-probabilities; `entropy` is in nats; `best_logit` is the raw logit of the best token.
    """

    tokens: Sequence[int]
    probs: Sequence[float]
    chosen: dict[int, float]
    entropy: float
    best_logit: float = 0.0
