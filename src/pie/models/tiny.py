"""Tiny random models for tests: a real folder with safetensors and a byte-level tokenizer, no download."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from safetensors.numpy import save_file
from tokenizers import decoders, models, pre_tokenizers

from pie.models.byte_level import byte_alphabet
from pie.models.config import ModelConfig
from pie.models.hf_config import FAMILIES
from pie.models.numbers import Floats
from pie.models.weights import expected_shapes

TINY = ModelConfig(
    hidden_size=32,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=8,
    intermediate_size=64,
    vocabulary_size=320,
    context_length=512,
    rope_theta=10000.0,
    rope_scaling=None,
    norm_eps=1e-5,
    tied_embeddings=True,
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WORDS = ("the", "and", "robot", " a", " the", " and", "  ", "12")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write_tiny_llama(folder: Path, config: ModelConfig = TINY, seed: int = 0, shards: int = 1) -> Path:
    """Writes a model that `ModelStore.pull(str(folder))` and transformers load; `folder` itself.

    Tokens 0, 1, 2 are special, 3 to 258 the bytes, then a few words; `vocabulary_size` must be at least 267.
    With `shards` > 1 the weights are spread over so many files, with an index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config_json(config))
    write_json(folder / "generation_config.json", {"eos_token_id": 2})
    write_json(folder / "tokenizer_config.json", tokenizer_config_json())
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    write_weights(folder, random_tensors(config, seed), shards)
    return folder


def random_tensors(config: ModelConfig, seed: int) -> dict[str, Floats]:
    """Large enough to give clear winners, small enough to stay finite."""
    random = np.random.default_rng(seed)
    return {
        name: (random.standard_normal(shape) * 0.3 + (len(shape) == 1)).astype(np.float32)
        for name, shape in expected_shapes(config).items()
    }


def write_weights(folder: Path, tensors: dict[str, Floats], shards: int) -> None:
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    places = {name: f"model-{1 + i % shards:05}-of-{shards:05}.safetensors" for i, name in enumerate(tensors)}
    for file in set(places.values()):
        chosen = {name: tensors[name] for name, place in places.items() if place == file}
        save_file(chosen, folder / file, metadata={"format": "pt"})
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})


def tiny_tokenizer() -> tokenizers.Tokenizer:
    """Byte-level BPE: special tokens, the 256 bytes, and the few merges that make `WORDS`."""
    spelled = {byte: chr(character) for character, byte in byte_alphabet().items()}
    vocabulary = {text: index for index, text in enumerate(SPECIAL)}
    for byte in range(256):
        vocabulary[spelled[byte]] = len(vocabulary)
    merges = []
    for word in WORDS:
        characters = [spelled[byte] for byte in word.encode()]
        text = characters[0]
        for character in characters[1:]:
            if (text, character) not in merges:
                merges.append((text, character))
            text += character
            vocabulary.setdefault(text, len(vocabulary))
    engine = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    engine.add_special_tokens(
        [tokenizers.AddedToken(text, special=True, normalized=False) for text in SPECIAL]
    )
    return engine


def config_json(config: ModelConfig) -> dict[str, Any]:
    kind = next(kind for kind, (name, _) in FAMILIES.items() if name == config.architecture)
    return {
        "architectures": [FAMILIES[kind][1]],
        "model_type": kind,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "vocab_size": config.vocabulary_size,
        "max_position_embeddings": config.context_length,
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling_json(config),
        **window_json(config),
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied_embeddings,
        "hidden_act": "silu",
        "query_pre_attn_scalar": (config.query_scale or config.head_dim**-0.5) ** -2,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32",
    }


def window_json(config: ModelConfig) -> dict[str, Any]:
    kinds = ["full_attention", "sliding_attention"]
    return {
        "sliding_window": config.window or None,
        "use_sliding_window": bool(config.window),
        "layer_types": [kinds[config.is_windowed(layer)] for layer in range(config.layers)],
        "rope_local_base_freq": config.window_rope_theta,
    }


def scaling_json(config: ModelConfig) -> dict[str, Any] | None:
    if config.rope_scaling is None:
        return None
    values = asdict(config.rope_scaling)
    del values["factors"]
    return {
        "rope_type": values.pop("kind"),
        "original_max_position_embeddings": values.pop("original_context_length"),
        **values,
    }


def tokenizer_config_json() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "chat_template": CHAT_TEMPLATE,
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
