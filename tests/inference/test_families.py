"""Every family of models that is supported gives transformers' logits: prefill, decode, masks, windows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from dense import load_reference
from pairs import PAGES, SIZE, Pair, RandomPrograms

from pie.core.progress import NoProgress
from pie.inference.executor import ModelExecutor
from pie.inference.rotary import frequencies
from pie.inference.settings import InferenceSettings
from pie.models import ModelStore, RopeScaling
from pie.models.tiny import TINY, tiny_tokenizer
from pie.testing.passes import PassBuilder

SETTINGS = InferenceSettings(
    page_size=SIZE, pages=PAGES, embs=256, threads=1, precision="fp32", kernels="torch"
)
SIZES = {
    "vocab_size": 288,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
KINDS = ["sliding_attention", "sliding_attention", "full_attention"]
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
GEMMA_ROPES = {
    "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1000000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}
FAMILIES: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "llama3": lambda: transformers.LlamaConfig(**SIZES, rope_parameters=LLAMA3),
    "mistral": lambda: transformers.MistralConfig(**SIZES, head_dim=8, sliding_window=9),
    "mistral without a window": lambda: transformers.MistralConfig(**SIZES, sliding_window=None),
    "qwen2": lambda: transformers.Qwen2Config(**SIZES),
    "qwen2 with windows": lambda: transformers.Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=6, max_window_layers=1
    ),
    "qwen3": lambda: transformers.Qwen3Config(**SIZES, head_dim=16),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **SIZES,
        head_dim=12,
        query_pre_attn_scalar=20,
        sliding_window=7,
        layer_types=KINDS,
        rope_parameters=GEMMA_ROPES,
    ),
}


def write_checkpoint(folder: Path, config: transformers.PretrainedConfig) -> Path:
    """By transformers' own classes, with weights large enough to tell right from wrong; two shards."""
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder, max_shard_size="40KB")
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("families")

    def find(family: str) -> Path:
        place = folder / family.replace(" ", "-")
        return place if place.exists() else write_checkpoint(place, FAMILIES[family]())

    return find


MakePair = Callable[[str], Pair]


@pytest.fixture(params=["torch", "compiled"])
def make_pair(
    request: pytest.FixtureRequest,
    checkpoints: Callable[[str], Path],
    tmp_path: Path,
    kernels_folder: Path,
) -> MakePair:
    """On plain torch, and on compiled attention."""
    settings = SETTINGS
    if request.param == "compiled":
        settings = replace(SETTINGS, kernels="auto", kernels_folder=str(kernels_folder))

    def make(family: str) -> Pair:
        folder = checkpoints(family)
        model = ModelStore(tmp_path / "home").pull(str(folder), NoProgress())
        return Pair(ModelExecutor(model, settings), load_reference(folder, SIZE))

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_prefill_and_decode_give_the_logits_of_transformers(make_pair: MakePair, family: str) -> None:
    pair = make_pair(family)
    tokens = np.random.default_rng(1).integers(0, pair.vocabulary, 36).tolist()
    pages = [5, 2, 9, 0, 11]
    places = [pages[i // SIZE] * SIZE + i % SIZE for i in range(36)]
    builder = PassBuilder().fresh(*pages).embed(tokens[:30], range(30), range(30))
    outputs = {i: 100 + i for i in range(30)}
    pair.check(builder.forward(range(30), pages, places[:30], outputs), list(outputs.values()))
    for i in range(30, 36):
        builder = PassBuilder().embed([tokens[i]], [i], [0])
        pair.check(builder.forward([0], pages, [places[i]], {0: 100}), [100])


@pytest.mark.parametrize("family", FAMILIES)
def test_masks_copies_and_shared_pages_give_the_logits_of_transformers(
    make_pair: MakePair, family: str
) -> None:
    pair = make_pair(family)
    programs = RandomPrograms(7, pair.vocabulary)
    for _ in range(12):
        pair.check(*programs.next_pass())


@pytest.mark.parametrize("family", ["mistral", "qwen2 with windows", "gemma3"])
def test_a_window_is_as_long_as_transformers_own(make_pair: MakePair, family: str) -> None:
    pair = make_pair(family)
    tokens = np.random.default_rng(2).integers(0, pair.vocabulary, 24).tolist()
    builder = PassBuilder().embed(tokens, range(24), range(24))
    builder.forward(range(24), [], [], {23: 100})
    result = pair.executor.execute(builder.dist(100, top_k=1, tokens=range(pair.vocabulary)).build())
    with torch.no_grad():
        wanted = pair.reference.model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
    torch.testing.assert_close(torch.tensor(result.chosen_logprobs), wanted, atol=2e-4, rtol=1e-4)


def test_factors_of_frequencies_in_a_gguf_are_what_llama3_scaling_says() -> None:
    scaling = RopeScaling("llama3", 8.0, 1.0, 4.0, 32)
    config = replace(TINY, head_dim=16, rope_scaling=scaling)
    wanted = frequencies(config)
    factors = (frequencies(replace(config, rope_scaling=None)) / wanted).tolist()
    found = frequencies(replace(config, rope_scaling=RopeScaling("factors", factors=tuple(factors))))
    assert min(factors) == 1.0 < max(factors) == pytest.approx(8.0)
    np.testing.assert_allclose(found, wanted, rtol=1.3e-6)
