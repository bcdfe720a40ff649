"""Tokens to embeddings: tokens of the pass, and those in token slots."""

from pie.inference.columns import Columns
from pie.inference.model import Model
from pie.inference.storage import EmbStorage, SlotStorage


def embed_tokens(work: Columns, model: Model, embs: EmbStorage) -> None:
    if len(work.embed_tokens):
        vectors = model.embed(embs.device.sent(work.embed_tokens))
        embs.write(work.embed_slots, vectors, work.embed_positions)


def embed_slots(work: Columns, model: Model, embs: EmbStorage, slots: SlotStorage) -> None:
    """Of what the slots hold before the pass."""
    if len(work.slot_embs):
        vectors = model.embed(embs.device.sent(slots.tokens[work.slot_sources]))
        embs.write(work.slot_embs, vectors, work.slot_positions)
