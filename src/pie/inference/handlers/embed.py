"""Tokens to embeddings: tokens of the pass, and those in token slots."""

from pie.inference.columns import Columns
from pie.inference.devices import sent
from pie.inference.llama import Llama
from pie.inference.storage import EmbStorage, SlotStorage


def embed_tokens(work: Columns, model: Llama, embs: EmbStorage) -> None:
    if len(work.embed_tokens):
        vectors = model.embed(sent(work.embed_tokens, embs.device))
        embs.write(work.embed_slots, vectors, work.embed_positions)


def embed_slots(work: Columns, model: Llama, embs: EmbStorage, slots: SlotStorage) -> None:
    """Of what the slots hold before the pass."""
    if len(work.slot_embs):
        vectors = model.embed(sent(slots.tokens[work.slot_sources], embs.device))
        embs.write(work.slot_embs, vectors, work.slot_positions)
