"""Tokens to embeddings."""

import torch

from pie.inference.columns import Columns
from pie.inference.llama import Llama
from pie.inference.storage import EmbStorage


def embed_tokens(work: Columns, model: Llama, embs: EmbStorage) -> None:
    if len(work.embed_tokens):
        vectors = model.embed(torch.from_numpy(work.embed_tokens))
        embs.write(work.embed_slots, vectors, work.embed_positions)
