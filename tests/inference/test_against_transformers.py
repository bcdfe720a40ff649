"""Logits equal to transformers', in prefill, decode, with masks, copies and shared pages."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dense import load_reference
from pairs import PAGES, SIZE, Pair, RandomPrograms

from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import ModelConfig, RopeScaling, StoredModel
from pie.models.tiny import TINY, write_tiny_llama
from pie.testing.passes import PassBuilder

SETTINGS = InferenceSettings(
    page_size=SIZE, pages=PAGES, embs=256, threads=1, precision="fp32", kernels="torch"
)
SHAPES = {
    "tiny": TINY,
    "as many key-value heads as heads": replace(TINY, kv_heads=TINY.heads),
    "one key-value head": replace(TINY, kv_heads=1),
    "head": replace(TINY, tied_embeddings=False),
    "wide heads": replace(TINY, head_dim=24),
    "deep": replace(TINY, layers=5, rope_theta=500000.0),
    "linear rope scaling": replace(TINY, rope_scaling=RopeScaling("linear", 4.0)),
    "llama3 rope scaling": replace(TINY, rope_scaling=RopeScaling("llama3", 8.0, 1.0, 4.0, 64)),
}


MakePair = Callable[[ModelConfig], Pair]


@pytest.fixture(params=["torch", "compiled"])
def make_pair(
    request: pytest.FixtureRequest,
    make_model: Callable[[ModelConfig], StoredModel],
    tmp_path: Path,
    kernels_folder: Path,
) -> MakePair:
    """On plain torch, and on compiled attention."""
    settings = SETTINGS
    if request.param == "compiled":
        settings = replace(SETTINGS, kernels="auto", kernels_folder=str(kernels_folder))

    def make(config: ModelConfig) -> Pair:
        executor = ModelExecutor(make_model(config), settings)
        folder = write_tiny_llama(tmp_path / "reference", config)
        return Pair(executor, load_reference(folder, SIZE))

    return make


@pytest.mark.parametrize("shape", SHAPES)
def test_prefill_and_decode_give_the_logits_of_transformers(make_pair: MakePair, shape: str) -> None:
    pair = make_pair(SHAPES[shape])
    tokens = np.random.default_rng(1).integers(0, pair.vocabulary, 40).tolist()
    pages = [5, 2, 9, 0, 11]
    places = [pages[i // SIZE] * SIZE + i % SIZE for i in range(40)]
    builder = PassBuilder().fresh(*pages).embed(tokens[:30], range(30), range(30))
    outputs = {i: 100 + i for i in range(30)}
    pair.check(builder.forward(range(30), pages, places[:30], outputs), list(outputs.values()))
    for i in range(30, 40):
        builder = PassBuilder().embed([tokens[i]], [i], [0])
        pair.check(builder.forward([0], pages, [places[i]], {0: 100}), [100])


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_give_the_logits_of_transformers(make_pair: MakePair, seed: int) -> None:
    pair = make_pair(TINY)
    programs = RandomPrograms(seed, pair.vocabulary)
    for _ in range(25):
        pair.check(*programs.next_pass())
