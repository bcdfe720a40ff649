"""The configuration and the names of tensors in a GGUF file, told in the words of `config.json`."""

import math
import re
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pie.core.errors import BadModel
from pie.models.config import (
    SUPPORTED,
    Bounds,
    Keys,
    ModelConfig,
    RopeScaling,
    check_config,
    head_dim_of,
    unsupported,
)
from pie.models.gguf_file import GgufFile

TOP_LEVEL = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
IN_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
}
IN_GEMMA_LAYER = {
    **IN_LAYER,
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
"""With norms behind attention and MLP the same name means another one."""
LAYER_NAME = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")
ROPE_FACTORS = "rope_freqs.weight"
GEMMA_PATTERN = 6
"""Every sixth layer of Gemma 3 has no window; the files do not say it."""
GEMMA_27B_LAYERS = 62
"""The one size of Gemma 3 that scales its scores by hidden size and heads; the files do not say it."""


def gguf_name(name: str, post_norms: bool = False) -> str:
    """`model.layers.0.self_attn.q_proj.weight` -> `blk.0.attn_q.weight`."""
    if name in TOP_LEVEL:
        return TOP_LEVEL[name]
    match = LAYER_NAME.fullmatch(name)
    if match is None:
        raise KeyError(name)
    names = IN_GEMMA_LAYER if post_norms else IN_LAYER
    return f"blk.{match[1]}.{names[match[2]]}.{match[3]}"


Number = TypeVar("Number", bound=np.generic)


def unpermute(rows: NDArray[Number], heads: int) -> NDArray[Number]:
    """Puts the rows of a query or key projection back to the order of HF's Llama.

    GGUF interleaves the two halves of each head, because llama.cpp rotates neighbours, not halves.
    """
    size = rows.shape[0] // heads
    return rows.reshape(heads, size // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def gguf_config(file: GgufFile) -> ModelConfig:
    """Raises `BadModel` where we cannot run the model, or it says impossible things about itself."""
    origin = str(file.path)
    keys = Keys(origin, file.metadata)
    family = architecture_of(origin, keys)
    heads = keys.integer(f"{family}.attention.head_count")
    hidden_size = keys.integer(f"{family}.embedding_length")
    length = f"{family}.attention.key_length"
    head_dim = keys.integer(length) if keys.has(length) else head_dim_of(origin, hidden_size, heads)
    check_rotation(origin, keys, family, head_dim)
    config = ModelConfig(
        hidden_size=hidden_size,
        layers=keys.integer(f"{family}.block_count"),
        heads=heads,
        kv_heads=keys.integer(f"{family}.attention.head_count_kv", heads),
        head_dim=head_dim,
        intermediate_size=keys.integer(f"{family}.feed_forward_length"),
        vocabulary_size=embedding_rows(file),
        context_length=keys.integer(f"{family}.context_length"),
        rope_theta=keys.number(f"{family}.rope.freq_base", 1e6 if family == "gemma3" else 10000.0),
        rope_scaling=rope_scaling(file, keys, family),
        norm_eps=keys.number(f"{family}.attention.layer_norm_rms_epsilon"),
        tied_embeddings="output.weight" not in file.tensors,
        architecture=family,
    )
    return check_config(origin, with_family(keys, config))


def with_family(keys: Keys, config: ModelConfig) -> ModelConfig:
    """What the family adds to a plain Llama."""
    family = config.architecture
    window = keys.integer(f"{family}.attention.sliding_window", 0)
    every = range(min(config.layers, Bounds().layers)) if window else ()
    if family != "gemma3":
        return replace(
            config,
            qkv_bias=family == "qwen2",
            qk_norm=family == "qwen3",
            window=window,
            windowed_layers=tuple(every),
        )
    return replace(
        config,
        qk_norm=True,
        post_norms=True,
        activation="gelu_tanh",
        embedding_scale=math.sqrt(max(1, config.hidden_size)),
        query_scale=query_scale(config),
        window=window,
        windowed_layers=tuple(layer for layer in every if (layer + 1) % GEMMA_PATTERN),
        window_rope_theta=10000.0,
    )


def query_scale(config: ModelConfig) -> float | None:
    if config.layers != GEMMA_27B_LAYERS:
        return None
    return (config.hidden_size / config.heads) ** -0.5 if min(config.hidden_size, config.heads) > 0 else None


def architecture_of(origin: str, keys: Keys) -> str:
    architecture = keys.text("general.architecture")
    if architecture not in SUPPORTED or architecture == "mistral":  # which no file calls itself
        raise unsupported(origin, f"the architecture {architecture[:60]!r}")
    if keys.integer(f"{architecture}.expert_count", 0) > 0:
        raise unsupported(origin, "a mixture of experts")
    if keys.integer("split.count", 1) > 1:
        raise BadModel(
            f"{origin}: the model is split into several GGUF files; join them with gguf-split --merge"
        )
    return architecture


def check_rotation(origin: str, keys: Keys, family: str, head_dim: int) -> None:
    if keys.integer(f"{family}.rope.dimension_count", head_dim) != head_dim:
        raise unsupported(origin, "rotating only a part of each head")
    if keys.integer(f"{family}.attention.value_length", head_dim) != head_dim:
        raise unsupported(origin, "values of another size than keys")


def embedding_rows(file: GgufFile) -> int:
    """The vocabulary's size: the metadata may leave it out, the embedding cannot."""
    entry = file.tensors.get("token_embd.weight")
    if entry is None:
        raise BadModel(f"{file.path}: tensor 'token_embd.weight' is missing")
    return entry.shape[0]


def rope_scaling(file: GgufFile, keys: Keys, family: str) -> RopeScaling | None:
    if ROPE_FACTORS in file.tensors:
        factors = file.tensors[ROPE_FACTORS]
        if factors.size_bytes > 1 << 16:
            raise BadModel(f"{file.path}: tensor {ROPE_FACTORS!r} is too long")
        return RopeScaling("factors", factors=tuple(factors.read().ravel().tolist()))
    kind = keys.text(f"{family}.rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind != "linear":
        raise unsupported(str(file.path), f"rope scaling {kind[:60]!r}")
    return RopeScaling("linear", factor=keys.number(f"{family}.rope.scaling.factor"))
