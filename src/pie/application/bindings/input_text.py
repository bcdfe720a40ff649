"""`pie:inferlet/input-text`: tokens to embeddings."""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.core.commands import EmbedText
from pie.core.ids import QueueId, Token, VirtualEmb


def embed_txt(
    guest: Guest,
    queue: QueueId,
    tokens: Sequence[Token],
    positions: Sequence[int],
    embs: Sequence[VirtualEmb],
) -> None:
    guest.session.submit(queue, EmbedText(tokens, positions, embs))


FUNCTIONS = (embed_txt,)
