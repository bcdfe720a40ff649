"""Tokens to embeddings."""

import torch

from pie.core.passes import Pass
from pie.inference.batch import column
from pie.inference.llama import Llama
from pie.inference.storage import EmbStorage


def embed_tokens(work: Pass, model: Llama, embs: EmbStorage) -> None:
    if work.embed_tokens:
        vectors = model.embed(torch.from_numpy(column(work.embed_tokens)))
        embs.write(column(work.embed_slots), vectors, column(work.embed_positions))
