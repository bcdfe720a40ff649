"""The configuration and the names of tensors in a GGUF file, told in the words of `config.json`."""

import re
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pie.core.errors import BadModel
from pie.models.config import Keys, ModelConfig, RopeScaling, check_config, head_dim_of, unsupported
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
}
LAYER_NAME = re.compile(r"model\.layers\.(\d+)\.(.+)\.weight")
ROPE_FACTORS = "rope_freqs.weight"


def gguf_name(name: str) -> str:
    """`model.layers.0.self_attn.q_proj.weight` -> `blk.0.attn_q.weight`."""
    if name in TOP_LEVEL:
        return TOP_LEVEL[name]
    match = LAYER_NAME.fullmatch(name)
    if match is None:
        raise KeyError(name)
    return f"blk.{match[1]}.{IN_LAYER[match[2]]}.weight"


Number = TypeVar("Number", bound=np.generic)


def unpermute(rows: NDArray[Number], heads: int) -> NDArray[Number]:
    """Puts the rows of a query or key projection back to the order of HF's Llama.

    GGUF interleaves the two halves of each head, because llama.cpp rotates neighbours, not halves.
    """
    size = rows.shape[0] // heads
    return rows.reshape(heads, size // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def gguf_config(file: GgufFile) -> ModelConfig:
    """Raises `BadModel` where the file is not a plain Llama, or says impossible things about itself."""
    origin = str(file.path)
    keys = Keys(origin, file.metadata)
    refuse_what_we_cannot_run(origin, keys)
    heads = keys.integer("llama.attention.head_count")
    hidden_size = keys.integer("llama.embedding_length")
    head_dim = keys.integer("llama.attention.key_length", head_dim_of(origin, hidden_size, heads))
    check_rotation(origin, keys, head_dim)
    config = ModelConfig(
        hidden_size=hidden_size,
        layers=keys.integer("llama.block_count"),
        heads=heads,
        kv_heads=keys.integer("llama.attention.head_count_kv", heads),
        head_dim=head_dim,
        intermediate_size=keys.integer("llama.feed_forward_length"),
        vocabulary_size=embedding_rows(file),
        context_length=keys.integer("llama.context_length"),
        rope_theta=keys.number("llama.rope.freq_base", 10000.0),
        rope_scaling=rope_scaling(file, keys),
        norm_eps=keys.number("llama.attention.layer_norm_rms_epsilon"),
        tied_embeddings="output.weight" not in file.tensors,
    )
    return check_config(origin, config)


def refuse_what_we_cannot_run(origin: str, keys: Keys) -> None:
    architecture = keys.text("general.architecture")
    if architecture != "llama":
        raise unsupported(origin, f"the architecture {architecture[:60]!r}")
    if keys.integer("llama.expert_count", 0) > 0:
        raise unsupported(origin, "a mixture of experts")
    if keys.integer("split.count", 1) > 1:
        raise BadModel(
            f"{origin}: the model is split into several GGUF files; join them with gguf-split --merge"
        )


def check_rotation(origin: str, keys: Keys, head_dim: int) -> None:
    if keys.integer("llama.rope.dimension_count", head_dim) != head_dim:
        raise unsupported(origin, "rotating only a part of each head")
    if keys.integer("llama.attention.value_length", head_dim) != head_dim:
        raise unsupported(origin, "values of another size than keys")


def embedding_rows(file: GgufFile) -> int:
    """The vocabulary's size: the metadata may leave it out, the embedding cannot."""
    entry = file.tensors.get("token_embd.weight")
    if entry is None:
        raise BadModel(f"{file.path}: tensor 'token_embd.weight' is missing")
    return entry.shape[0]


def rope_scaling(file: GgufFile, keys: Keys) -> RopeScaling | None:
    if ROPE_FACTORS in file.tensors:
        factors = file.tensors[ROPE_FACTORS]
        if factors.size_bytes > 1 << 16:
            raise BadModel(f"{file.path}: tensor {ROPE_FACTORS!r} is too long")
        return RopeScaling("factors", factors=tuple(factors.read().ravel().tolist()))
    kind = keys.text("llama.rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind != "linear":
        raise unsupported(str(file.path), f"rope scaling {kind[:60]!r}")
    return RopeScaling("linear", factor=keys.number("llama.rope.scaling.factor"))
