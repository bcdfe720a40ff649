"""Trait *input text*: tokens into embeddings."""

from collections.abc import Iterable

from inferlet.checks import unsigned, unsigned_list
from inferlet.host import bound
from inferlet.raw.calls import call


def embed_txt(queue: int, tokens: Iterable[int], positions: Iterable[int], embs: Iterable[int]) -> None:
    """Puts tokens, each with its position (from 0), into embeddings; three lists of one length."""
    call(
        bound.host.input_text.embed_txt, unsigned("queue", queue), unsigned_list("tokens", tokens),
        unsigned_list("positions", positions), unsigned_list("embs", embs),
    )
