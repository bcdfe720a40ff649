"""The configuration of a safetensors folder, from its `config.json`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from pie.core.errors import BadModel
from pie.models.config import (
    Activation,
    Bounds,
    Keys,
    ModelConfig,
    RopeScaling,
    check_config,
    head_dim_of,
    unsupported,
)

MOST_JSON_BYTES = 256 << 20
FAMILIES = {
    "llama": ("llama", "LlamaForCausalLM"),
    "mistral": ("mistral", "MistralForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
    "gemma3_text": ("gemma3", "Gemma3ForCausalLM"),
}
"""By `model_type`: our name, and the class in `architectures`."""
ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu_pytorch_tanh": "gelu_tanh",
}
GEMMA_PATTERN = 6
"""Every sixth layer of Gemma 3 has no window, where the file does not say."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises `BadModel` when there is none."""
    try:
        if path.exists() and not path.is_file():
            raise BadModel(f"{path} is not a file")
        if path.stat().st_size > MOST_JSON_BYTES:
            raise BadModel(f"{path} is longer than {MOST_JSON_BYTES >> 20} MiB")
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise BadModel(f"cannot read {path}: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadModel(f"{path} is damaged: {error}") from error


def hf_config(path: Path) -> ModelConfig:
    """Raises `BadModel` where we cannot run the model, or it says impossible things about itself."""
    origin = str(path)
    raw = read_json(path)
    keys = Keys(origin, raw)
    architecture = architecture_of(origin, keys, raw.get("architectures"))
    refuse_what_we_cannot_run(origin, keys)
    heads = keys.integer("num_attention_heads")
    hidden_size = keys.integer("hidden_size")
    rope = rope_keys(keys)
    config = ModelConfig(
        hidden_size=hidden_size,
        layers=keys.integer("num_hidden_layers"),
        heads=heads,
        kv_heads=keys.integer("num_key_value_heads", heads),
        head_dim=keys.integer("head_dim")
        if keys.has("head_dim")
        else head_dim_of(origin, hidden_size, heads),
        intermediate_size=keys.integer("intermediate_size"),
        vocabulary_size=keys.integer("vocab_size"),
        context_length=keys.integer("max_position_embeddings", 2048),
        rope_theta=rope_theta(keys, rope, 1e6 if architecture == "gemma3" else 10000.0),
        rope_scaling=rope_scaling(rope),
        norm_eps=keys.number("rms_norm_eps", 1e-6),
        tied_embeddings=keys.boolean("tie_word_embeddings", default=architecture == "gemma3"),
        architecture=architecture,
    )
    return check_config(origin, with_family(keys, raw, config))


def architecture_of(origin: str, keys: Keys, architectures: object) -> str:
    names = list(map(str, architectures)) if isinstance(architectures, list) else []
    ours, known = FAMILIES.get(keys.text("model_type"), ("", ""))
    if not ours or (names and known not in names):
        named = ", ".join(names) or keys.text("model_type") or "unknown"
        raise unsupported(origin, f"the architecture {named[:80]!r}")
    return ours


def refuse_what_we_cannot_run(origin: str, keys: Keys) -> None:
    if keys.boolean("attention_bias") or keys.boolean("mlp_bias"):
        raise unsupported(origin, "a bias in attention or MLP beyond Qwen2's")
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        if keys.has(key):
            raise unsupported(origin, f"{key}")
    if keys.boolean("use_bidirectional_attention"):
        raise unsupported(origin, "attention in both directions")
    if activation_key(keys) not in ACTIVATIONS:
        raise unsupported(origin, f"the activation {activation_key(keys)[:60]!r}")


def activation_key(keys: Keys) -> str:
    if keys.text("model_type") == "gemma3_text":
        return keys.text("hidden_activation", "gelu_pytorch_tanh")
    return keys.text("hidden_act", "silu")


def with_family(keys: Keys, raw: Mapping[str, object], config: ModelConfig) -> ModelConfig:
    """What the family adds to a plain Llama."""
    gemma = config.architecture == "gemma3"
    config = replace(
        config,
        activation=ACTIVATIONS[activation_key(keys)],
        qkv_bias=config.architecture == "qwen2",
        qk_norm=config.architecture in ("qwen3", "gemma3"),
        **windows(keys, raw, config),
    )
    if not gemma:
        return config
    scalar = keys.number("query_pre_attn_scalar", 256.0)
    if not 0 < scalar < math.inf:
        raise BadModel(f"{keys.origin}: query_pre_attn_scalar is {scalar}, not a number above 0")
    return replace(
        config,
        post_norms=True,
        embedding_scale=math.sqrt(config.hidden_size),
        query_scale=scalar**-0.5,
        window_rope_theta=window_rope_theta(keys),
    )


def windows(keys: Keys, raw: Mapping[str, object], config: ModelConfig) -> dict[str, Any]:
    """`window` and `windowed_layers`. Newer files list the kind of each layer; older ones have a rule."""
    has_one = keys.boolean("use_sliding_window") if config.architecture.startswith("qwen") else True
    size = keys.integer("sliding_window") if has_one and keys.has("sliding_window") else 0
    if not size or config.architecture == "llama":
        return {}
    layers = windowed_layers(keys, raw, config)
    return {"window": size, "windowed_layers": layers} if layers else {}


def windowed_layers(keys: Keys, raw: Mapping[str, object], config: ModelConfig) -> tuple[int, ...]:
    every = range(min(config.layers, Bounds().layers))
    kinds = raw.get("layer_types")
    if isinstance(kinds, list):
        if len(kinds) != config.layers or not set(map(str, kinds)) <= {"full_attention", "sliding_attention"}:
            raise keys.bad("layer_types", "full_attention or sliding_attention for each layer", kinds)
        return tuple(layer for layer in every if kinds[layer] == "sliding_attention")
    if config.architecture == "gemma3":
        pattern = keys.integer("sliding_window_pattern", GEMMA_PATTERN)
        if pattern < 1:
            raise keys.bad("sliding_window_pattern", "1 or more", pattern)
        return tuple(layer for layer in every if (layer + 1) % pattern)
    first = keys.integer("max_window_layers", 28) if config.architecture.startswith("qwen") else 0
    return tuple(layer for layer in every if layer >= first)


def rope_keys(keys: Keys) -> Keys | None:
    """Newer files say `rope_parameters`, older ones `rope_scaling`; Gemma's newer ones by kind of layer."""
    inner = keys.inner("rope_parameters")
    if inner is not None and inner.has("full_attention"):
        return inner.inner("full_attention")
    return inner or keys.inner("rope_scaling")


def window_rope_theta(keys: Keys) -> float:
    """Of Gemma's windowed layers."""
    outer = keys.inner("rope_parameters")
    inner = outer.inner("sliding_attention") if outer is not None else None
    if inner is None:
        return keys.number("rope_local_base_freq", 10000.0)
    kind = inner.text("rope_type", "default")
    if kind != "default":
        raise unsupported(inner.origin, f"rope scaling {kind[:60]!r}")
    return inner.number("rope_theta", 10000.0)


def rope_theta(keys: Keys, rope: Keys | None, default: float) -> float:
    if rope is not None and rope.has("rope_theta"):
        return rope.number("rope_theta")
    return keys.number("rope_theta", default)


def rope_scaling(inner: Keys | None) -> RopeScaling | None:
    if inner is None:
        return None
    kind = inner.text("rope_type") or inner.text("type", "default")
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling("linear", factor=inner.number("factor"))
    if kind != "llama3":
        raise unsupported(inner.origin, f"rope scaling {kind[:60]!r}")
    return RopeScaling(
        "llama3",
        factor=inner.number("factor"),
        low_freq_factor=inner.number("low_freq_factor"),
        high_freq_factor=inner.number("high_freq_factor"),
        original_context_length=inner.integer("original_max_position_embeddings"),
    )
