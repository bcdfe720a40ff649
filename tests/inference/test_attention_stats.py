"""The shares of attention are those of transformers' own attention weights, and measuring changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from pie.core.progress import NoProgress
from pie.inference.executor import ModelExecutor
from pie.inference.handlers import attention_stats
from pie.inference.settings import InferenceSettings
from pie.models import ModelStore
from pie.models.tiny import TINY, write_tiny_llama
from pie.testing.passes import PassBuilder

SIZE = 8
PAGES = [5, 2, 9]
CACHED = 20
SETTINGS = InferenceSettings(page_size=SIZE, pages=16, embs=256, threads=1, precision="fp32", kernels="torch")
CONFIG = replace(TINY, layers=3)
TOKENS: list[int] = np.random.default_rng(3).integers(0, TINY.vocabulary_size, 23).tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("stats") / "tiny", CONFIG)


@pytest.fixture(scope="module")
def executor(folder: Path) -> ModelExecutor:
    """With `CACHED` tokens in `PAGES`, of which two are hidden."""
    executor = ModelExecutor(ModelStore(folder.parent / "home").pull(str(folder), NoProgress()), SETTINGS)
    places = [PAGES[i // SIZE] * SIZE + i % SIZE for i in range(CACHED)]
    every = range(CACHED)
    builder = PassBuilder().fresh(*PAGES).embed(TOKENS[:CACHED], every, every)
    assert executor.execute(builder.forward(every, PAGES, places).build()).error == ""
    assert executor.execute(PassBuilder().show(2, 0b11100111).build()).error == ""
    return executor


def ask(executor: ModelExecutor, pages: list[int], positions: list[int]) -> list[float]:
    slots = range(len(positions))
    builder = PassBuilder().embed(TOKENS[CACHED : CACHED + len(positions)], positions, slots)
    result = executor.execute(builder.watch().forward(slots, pages).build())
    assert result.error == ""
    return list(result.attention)


def dense_shares(folder: Path, pages: list[int], positions: list[int]) -> list[float]:
    """The same from the attention weights of one dense run with an explicit mask."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    count, there = CACHED + len(positions), [*range(CACHED), *positions]
    seen = torch.tensor([[there[j] <= there[i] for j in range(count)] for i in range(count)])
    seen[:CACHED, CACHED:] = False
    for j in range(CACHED):
        if PAGES[j // SIZE] not in pages or j in (SIZE + 3, SIZE + 4):
            seen[CACHED:, j] = False
    bias = torch.zeros(count, count).masked_fill(~seen, torch.finfo(torch.float32).min)
    with torch.no_grad():
        found = model(
            input_ids=torch.tensor([TOKENS[:count]]),
            position_ids=torch.tensor([there]),
            attention_mask=bias[None, None],
            use_cache=False,
            output_attentions=True,
        )
    weights = torch.stack(found.attentions)[:, 0, :, CACHED:].mean((0, 1, 2))
    cached = dict(zip(PAGES, weights[:CACHED].split(SIZE), strict=True))
    return [float(part.sum()) for part in (*(cached[page] for page in pages), weights[CACHED:])]


@pytest.mark.parametrize(
    ("pages", "positions"),
    [
        ([5, 2, 9], [20]),
        ([5, 2, 9], [20, 21, 22]),
        ([9, 5], [20, 21, 22]),
        ([5, 2, 9], [14, 3, 20]),
        ([], [20, 21]),
    ],
)
def test_shares_are_those_of_a_dense_run(
    executor: ModelExecutor, folder: Path, pages: list[int], positions: list[int]
) -> None:
    found = ask(executor, pages, positions)
    assert found == pytest.approx(dense_shares(folder, pages, positions), abs=1e-5)
    assert sum(found) == pytest.approx(1, abs=1e-6)


def test_many_inputs_in_small_parts_are_the_same(
    executor: ModelExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ask(executor, PAGES, [20, 21, 22])
    monkeypatch.setattr(attention_stats, "AT_ONCE", 2)
    assert ask(executor, PAGES, [20, 21, 22]) == pytest.approx(whole, abs=1e-6)


def test_watching_changes_no_answer(executor: ModelExecutor) -> None:
    plain = PassBuilder().embed([7], [20], [0]).forward([0], PAGES, outputs={0: 100}).dist(100, 5)
    watched = PassBuilder().embed([7], [20], [0]).forward([0], PAGES, outputs={0: 100}).watch()
    watched.embed([9], [20], [1]).forward([1], PAGES).dist(100, 5)
    ours, beside = executor.execute(plain.build()), executor.execute(watched.build())
    assert beside.top_tokens == ours.top_tokens
    assert list(beside.top_probs) == pytest.approx(list(ours.top_probs), rel=1e-5)
