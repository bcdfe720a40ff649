"""What a guest may put into a command queue: one frozen class a call, with virtual ids.

Built by `application/` from the guest's arguments, checked and executed in order by `control/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pie.core.errors import PieError
from pie.core.ids import Token, VirtualEmb, VirtualPage

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


class NextDist(NamedTuple):
    emb: VirtualEmb
    top_k: int
    tokens: Sequence[Token]
    """Tokens whose exact log-probability is wanted beside the best `top_k`."""


class Synchronize(NamedTuple):
    """Answered when everything before it in the queue has been executed."""


Command = (
    AllocPages | FreePages | AllocEmbs | FreeEmbs | CopyPages | ForkPages | MaskPage
    | EmbedText | Forward | NextDist | Synchronize
)


class Completion(Protocol):
    """Where the answer to a command goes. Made by the room above, handed down, called exactly once, or never
    when its session closes first."""

    def resolve(self, value: object) -> None: ...

    def fail(self, error: PieError) -> None: ...


@dataclass(frozen=True, slots=True)
class Dist:
    """A next-token distribution: the best tokens, descending, and facts about the full distribution.

    `tokens` and `probs` have the same length (top-K); `chosen` maps the tokens asked for to their exact
    natural log-probabilities; `entropy` is in nats.
    """

    tokens: Sequence[int]
    probs: Sequence[float]
    chosen: dict[int, float]
    entropy: float
