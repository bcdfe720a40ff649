"""A model's shape is read from both kinds of files; what we cannot run is named, and so is what cannot be."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pie.core.errors import BadModel
from pie.models.config import ModelConfig, RopeScaling
from pie.models.gguf_config import gguf_config
from pie.models.gguf_file import read_gguf
from pie.models.hf_config import hf_config
from pie.models.tiny import TINY, config_json, random_tensors
from pie.models.tiny_gguf import write_tiny_gguf
from pie.models.weights import gguf_weights

UNTIED = replace(TINY, tied_embeddings=False, head_dim=16, rope_theta=500000.0)

GEMMA = replace(
    TINY,
    layers=7,
    architecture="gemma3",
    qk_norm=True,
    post_norms=True,
    activation="gelu_tanh",
    embedding_scale=math.sqrt(TINY.hidden_size),
    window=16,
    windowed_layers=(0, 1, 2, 3, 4, 6),
    window_rope_theta=10000.0,
)
FAMILIES = {
    "qwen2": replace(TINY, architecture="qwen2", qkv_bias=True),
    "qwen3": replace(TINY, architecture="qwen3", qk_norm=True, head_dim=12),
    "gemma3": GEMMA,
    "llama with factors of frequencies": replace(
        TINY, rope_scaling=RopeScaling("factors", factors=(1.0, 1.5, 4.0, 8.0))
    ),
    "mistral as llama": replace(TINY, window=32, windowed_layers=(0, 1)),
}

MISTRAL = {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}


def from_json(tmp_path: Path, **changes: Any) -> ModelConfig:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**config_json(TINY), **changes}))
    return hf_config(path)


@pytest.mark.parametrize("config", [TINY, UNTIED])
def test_config_json_says_the_same_as_what_was_written(tmp_path: Path, config: ModelConfig) -> None:
    assert from_json(tmp_path, **config_json(config)) == config


@pytest.mark.parametrize("config", [TINY, UNTIED])
def test_gguf_metadata_says_the_same_as_what_was_written(tmp_path: Path, config: ModelConfig) -> None:
    found = gguf_config(read_gguf(write_tiny_gguf(tmp_path / "a.gguf", config)))
    assert replace(found, norm_eps=config.norm_eps) == config
    assert found.norm_eps == pytest.approx(config.norm_eps)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gguf_of_every_family_is_described_and_read(tmp_path: Path, family: str) -> None:
    config = FAMILIES[family]
    path = write_tiny_gguf(tmp_path / "a.gguf", config)
    found = gguf_config(read_gguf(path))
    assert replace(found, norm_eps=config.norm_eps) == config
    written, read = random_tensors(config, 0), dict(gguf_weights(path, found))
    assert written.keys() == read.keys()
    assert all(np.array_equal(read[name], values) for name, values in written.items())


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "gemma3"])
def test_config_json_of_every_family_says_what_was_written(tmp_path: Path, family: str) -> None:
    config = FAMILIES[family]
    found = from_json(tmp_path, **config_json(config))
    assert replace(found, query_scale=None) == config
    if family == "gemma3":
        assert found.query_scale == pytest.approx(config.head_dim**-0.5)


def test_the_windows_of_older_files_follow_their_rules(tmp_path: Path) -> None:
    older = {"layer_types": None, "sliding_window": 8}
    gemma = from_json(tmp_path, **{**config_json(GEMMA), **older})
    qwen = {**config_json(FAMILIES["qwen2"]), **older, "use_sliding_window": True, "max_window_layers": 1}
    mistral = {**MISTRAL, **older}
    assert gemma.windowed_layers == GEMMA.windowed_layers
    assert from_json(tmp_path, **qwen).windowed_layers == (1,)
    assert from_json(tmp_path, **mistral).windowed_layers == (0, 1)


def test_llama3_rope_scaling_is_read(tmp_path: Path) -> None:
    scaling = RopeScaling("llama3", 8.0, 1.0, 4.0, 8192)
    assert from_json(tmp_path, **config_json(replace(TINY, rope_scaling=scaling))).rope_scaling == scaling


def test_rope_parameters_of_newer_files_are_read(tmp_path: Path) -> None:
    found = from_json(tmp_path, rope_theta=None, rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert (found.rope_theta, found.rope_scaling) == (5e5, None)


def test_older_files_may_leave_out_what_has_a_default(tmp_path: Path) -> None:
    found = from_json(tmp_path, head_dim=None, num_key_value_heads=None, rope_scaling=None)
    assert (found.head_dim, found.kv_heads) == (TINY.hidden_size // TINY.heads, TINY.heads)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"architectures": ["MambaForCausalLM"], "model_type": "mamba"},
            "MambaForCausalLM.*not supported.*llama",
        ),
        ({"model_type": "qwen2"}, "LlamaForCausalLM.*not supported"),
        ({"attention_bias": True}, "bias"),
        ({"model_type": "gemma3_text", "architectures": [], "attn_logit_softcapping": 50.0}, "softcapping"),
        ({**MISTRAL, "sliding_window": -4, "layer_types": None}, "window of -4"),
        ({**MISTRAL, "sliding_window": 4, "layer_types": ["x"]}, "layer_types"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2}}, "yarn"),
        ({"num_hidden_layers": 10**9}, "layers is 1000000000"),
        ({"num_hidden_layers": -1}, "layers is -1"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers.*whole number.*two"),
        ({"vocab_size": True}, "vocab_size"),
        ({"hidden_size": None}, "'hidden_size' is missing"),
        ({"num_attention_heads": 0, "head_dim": None}, "0 heads"),
        ({"num_key_value_heads": 3}, "cannot share"),
        ({"head_dim": 7}, "halve"),
        ({"rms_norm_eps": float("inf")}, "damaged|norm_eps"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "rope scaling"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadModel, match=complaint):
        from_json(tmp_path, **changes)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"a":' * 10_000])
def test_a_damaged_config_json_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(BadModel, match=r"config\.json"):
        hf_config(path)


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"general.architecture": "mamba"}, "'mamba'.*not supported.*llama"),
        ({"llama.expert_count": 8}, "experts"),
        ({"split.count": 3}, "gguf-split --merge"),
        ({"llama.rope.scaling.type": "yarn"}, "yarn"),
        ({"llama.rope.dimension_count": 4}, "part of each head"),
        ({"llama.block_count": 2**31}, "layers is 2147483648"),
        ({"llama.embedding_length": "wide"}, "whole number"),
    ],
)
def test_a_gguf_that_cannot_be_run_is_refused_by_name(
    tmp_path: Path, metadata: dict[str, Any], complaint: str
) -> None:
    path = write_tiny_gguf(tmp_path / "a.gguf", metadata=metadata)
    with pytest.raises(BadModel, match=complaint):
        gguf_config(read_gguf(path))
