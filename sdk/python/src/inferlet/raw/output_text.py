"""Trait *output text*: distributions of the next token."""

from collections.abc import Sequence

from inferlet.checks import unsigned, unsigned_list
from inferlet.dist import Dist
from inferlet.host import bound
from inferlet.raw.calls import call


def get_next_dist(queue: int, emb: int, top_k: int = 256, tokens: Sequence[int] = ()) -> Dist:
    """The distribution of the token after the one at `emb` (a hidden state that `forward` put out).

    top_k: how many of the best tokens are kept; who only wants the best asks for 1.
    tokens: their exact log-probabilities are kept too.
    """
    return Dist(
        call(
            bound.host.output_text.get_next_dist, unsigned("queue", queue), unsigned("emb", emb),
            unsigned("top_k", top_k), unsigned_list("tokens", tokens),
        )
    )
