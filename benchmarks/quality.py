"""How good is a precision? Perplexity on a fixed text, and how far its distributions are from fp32's."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from harness import ROOT

from pie.inference.engine import Engine
from pie.inference.rotary import Rotary
from pie.inference.visibility import Block, Rows, View
from pie.inference.window import with_window

TEXT = ROOT / "benchmarks" / "data" / "python-reference.txt"
HASH = "c82327f00bf6562593946789f8be0a5c4cd49fab5cbe98d9d0836406743d43c5"
WINDOW = 1024
"""Tokens read together; each window begins anew."""


@dataclass(frozen=True, slots=True)
class Quality:
    perplexity: float
    divergence: float
    """Mean Kullback-Leibler divergence from fp32's distributions, in nats."""


def text() -> str:
    data = TEXT.read_bytes()
    if hashlib.sha256(data).hexdigest() != HASH:
        raise ValueError(f"{TEXT} is not the text that it was")
    return data.decode()


def windows(tokens: Sequence[int], count: int) -> list[list[int]]:
    """`count` windows of `WINDOW` tokens and the one after them."""
    return [list(tokens[i * WINDOW : (i + 1) * WINDOW + 1]) for i in range(count)]


@torch.inference_mode()
def logprobs(engine: Engine, tokens: Sequence[int]) -> torch.Tensor:
    """[tokens, vocabulary], each after those before it."""
    count, pages = len(tokens), engine.pages
    places = pages.scratch_slot + np.arange(count, dtype=np.int32)
    positions = np.arange(count, dtype=np.int32)
    nothing = Rows(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(1, np.int64))
    seen = Block(0, count, places, np.tri(count, dtype=np.bool_))
    model = engine.model
    view = View(places, positions, nothing, [seen])
    engine.attention.begin(with_window(view, pages, model.config.window))
    turns = engine.device.sent(Rotary(model.config).turns(positions))
    inputs = model.embed(engine.device.sent(np.array(tokens, np.int32)))
    (logits,) = engine.device.fetched(model.logits(model.hidden(inputs, turns, engine.attention)))
    return torch.from_numpy(np.ascontiguousarray(logits.T)).log_softmax(-1)


class Reference:
    """fp32's distributions, kept in half precision."""

    def __init__(self, engine: Engine, texts: Sequence[Sequence[int]]) -> None:
        self._texts = texts
        self._kept = [logprobs(engine, tokens[:-1]).half() for tokens in texts]

    def compare(self, engine: Engine) -> Quality:
        losses, divergences = [], []
        for tokens, kept in zip(self._texts, self._kept, strict=True):
            found, reference = logprobs(engine, tokens[:-1]), kept.float()
            losses.append(-found[range(len(found)), tokens[1:]].mean().item())
            divergences.append((reference.exp() * (reference - found)).sum(-1).mean().item())
        return Quality(math.exp(float(np.mean(losses))), float(np.mean(divergences)))
