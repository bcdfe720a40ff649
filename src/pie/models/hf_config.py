"""The configuration of a safetensors folder, from its `config.json`."""

from pathlib import Path
from typing import Any

import msgspec

from pie.core.errors import BadModel
from pie.models.config import Keys, ModelConfig, RopeScaling, check_config, head_dim_of, unsupported

MOST_JSON_BYTES = 256 << 20
ARCHITECTURES = ("LlamaForCausalLM",)


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
    """Raises `BadModel` where the model is not a plain Llama, or says impossible things about itself."""
    origin = str(path)
    raw = read_json(path)
    keys = Keys(origin, raw)
    refuse_what_we_cannot_run(origin, keys, raw.get("architectures"))
    heads = keys.integer("num_attention_heads")
    hidden_size = keys.integer("hidden_size")
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
        rope_theta=rope_theta(keys),
        rope_scaling=rope_scaling(keys),
        norm_eps=keys.number("rms_norm_eps", 1e-6),
        tied_embeddings=keys.boolean("tie_word_embeddings"),
    )
    return check_config(origin, config)


def refuse_what_we_cannot_run(origin: str, keys: Keys, architectures: object) -> None:
    names = architectures if isinstance(architectures, list) else []
    if keys.text("model_type") != "llama" or (names and not set(map(str, names)) & set(ARCHITECTURES)):
        named = ", ".join(map(str, names)) or keys.text("model_type") or "unknown"
        raise unsupported(origin, f"the architecture {named[:80]!r}")
    if keys.boolean("attention_bias") or keys.boolean("mlp_bias"):
        raise unsupported(origin, "a bias in attention or MLP")
    if keys.text("hidden_act", "silu") not in ("silu", "swish"):
        raise unsupported(origin, f"the activation {keys.text('hidden_act')[:60]!r}")


def rope_keys(keys: Keys) -> Keys | None:
    """Newer files say `rope_parameters`, older ones `rope_scaling`."""
    return keys.inner("rope_parameters") or keys.inner("rope_scaling")


def rope_theta(keys: Keys) -> float:
    inner = keys.inner("rope_parameters")
    if inner is not None and inner.has("rope_theta"):
        return inner.number("rope_theta")
    return keys.number("rope_theta", 10000.0)


def rope_scaling(keys: Keys) -> RopeScaling | None:
    inner = rope_keys(keys)
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
