"""Tiny random models as GGUF files, for tests; written by the `gguf` package, not by code of ours."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import msgspec
import numpy as np
from gguf.constants import GGMLQuantizationType

from pie.models.config import ModelConfig
from pie.models.gguf_config import ROPE_FACTORS, gguf_name
from pie.models.numbers import Floats
from pie.models.tiny import CHAT_TEMPLATE, SPECIAL, TINY, random_tensors, tiny_tokenizer


def write_tiny_gguf(
    path: Path,
    config: ModelConfig = TINY,
    seed: int = 0,
    format: str = "F32",
    metadata: Mapping[str, str | int | float | bool] | None = None,
) -> Path:
    """Writes the model that `write_tiny_llama` would, with matrices in `format`; `path` itself.

    `metadata` adds keys, or replaces texts and numbers that are there. Quantised formats need sizes that
    are multiples of 32.
    """
    writer = gguf.GGUFWriter(path, config.architecture)
    for key, value in {**config_metadata(config), **(metadata or {})}.items():
        writer.add_key_value(key, value, kind_of(value))
    add_tokenizer(writer)
    if config.rope_scaling is not None and config.rope_scaling.kind == "factors":
        writer.add_tensor(ROPE_FACTORS, np.array(config.rope_scaling.factors, np.float32))
    for name, values in random_tensors(config, seed).items():
        add_tensor(writer, name, values, config, GGMLQuantizationType[format])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def kind_of(value: str | int | float | bool) -> gguf.GGUFValueType:
    if isinstance(value, bool):
        return gguf.GGUFValueType.BOOL
    if isinstance(value, int):
        return gguf.GGUFValueType.UINT32
    return gguf.GGUFValueType.STRING if isinstance(value, str) else gguf.GGUFValueType.FLOAT32


def config_metadata(config: ModelConfig) -> dict[str, str | int | float | bool]:
    family = config.architecture
    return {
        "general.name": "Tiny",
        f"{family}.block_count": config.layers,
        f"{family}.context_length": config.context_length,
        f"{family}.embedding_length": config.hidden_size,
        f"{family}.feed_forward_length": config.intermediate_size,
        f"{family}.attention.head_count": config.heads,
        f"{family}.attention.head_count_kv": config.kv_heads,
        f"{family}.attention.key_length": config.head_dim,
        f"{family}.attention.value_length": config.head_dim,
        f"{family}.rope.dimension_count": config.head_dim,
        f"{family}.rope.freq_base": config.rope_theta,
        f"{family}.attention.layer_norm_rms_epsilon": config.norm_eps,
        f"{family}.vocab_size": config.vocabulary_size,
        **({f"{family}.attention.sliding_window": config.window} if config.window else {}),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def add_tokenizer(writer: gguf.GGUFWriter) -> None:
    engine = tiny_tokenizer()
    count = engine.get_vocab_size(with_added_tokens=True)
    texts = [engine.id_to_token(token) or "" for token in range(count)]
    merges = msgspec.json.decode(engine.to_str())["model"]["merges"]
    writer.add_token_list(texts)
    writer.add_token_types([3 if text in SPECIAL else 1 for text in texts])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])


def add_tensor(
    writer: gguf.GGUFWriter, name: str, values: Floats, config: ModelConfig, kind: GGMLQuantizationType
) -> None:
    llama = config.architecture == "llama"
    if llama and name.endswith("q_proj.weight"):
        values = permute(values, config.heads)
    if llama and name.endswith("k_proj.weight"):
        values = permute(values, config.kv_heads)
    if values.ndim == 1:
        kind = GGMLQuantizationType.F32
    data = gguf.quantize(values, kind)
    writer.add_tensor(gguf_name(name, config.post_norms), np.ascontiguousarray(data), raw_dtype=kind)


def permute(rows: Floats, heads: int) -> Floats:
    """llama.cpp's order of query and key rows: the two halves of each head, interleaved."""
    size = rows.shape[0] // heads
    return rows.reshape(heads, 2, size // 2, -1).swapaxes(1, 2).reshape(rows.shape)
