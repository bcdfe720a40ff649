"""A model's tensors under one set of names, whatever kind of file they lie in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pie.core.errors import BadModel
from pie.models.config import ModelConfig
from pie.models.gguf_config import gguf_name, unpermute
from pie.models.gguf_file import FORMATS as GGUF_FORMATS
from pie.models.gguf_file import read_gguf
from pie.models.groups import Groups, is_grouped, read_groups
from pie.models.numbers import Floats
from pie.models.safetensors_file import FORMATS as SAFETENSORS_FORMATS
from pie.models.safetensors_file import read_safetensors
from pie.models.stored import StoredModel
from pie.models.tensor_file import TensorEntry

Shape = tuple[int, ...]


def expected_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Every tensor of the model, by its name in HF's classes, in the order they are used."""
    shapes: dict[str, Shape] = {"model.embed_tokens.weight": (config.vocabulary_size, config.hidden_size)}
    for layer in range(config.layers):
        for name, shape in layer_shapes(config).items():
            shapes[f"model.layers.{layer}.{name}"] = shape
    shapes["model.norm.weight"] = (config.hidden_size,)
    if not config.tied_embeddings:
        shapes["lm_head.weight"] = (config.vocabulary_size, config.hidden_size)
    return shapes


def layer_shapes(config: ModelConfig) -> dict[str, Shape]:
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    shapes: dict[str, Shape] = {
        "input_layernorm": (hidden,),
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "post_attention_layernorm": (hidden,),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    if config.qk_norm:
        shapes |= {"self_attn.q_norm": (config.head_dim,), "self_attn.k_norm": (config.head_dim,)}
    if config.post_norms:
        shapes |= {"pre_feedforward_layernorm": (hidden,), "post_feedforward_layernorm": (hidden,)}
    named = {f"{name}.weight": shape for name, shape in shapes.items()}
    return named | bias_shapes(config)


def bias_shapes(config: ModelConfig) -> dict[str, Shape]:
    if not config.qkv_bias:
        return {}
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    sizes = {"q_proj": queries, "k_proj": keys, "v_proj": keys}
    return {f"self_attn.{name}.bias": (size,) for name, size in sizes.items()}


@dataclass(frozen=True, slots=True)
class Weights:
    """Where each tensor lies (by its HF name). `permuted`: GGUF's order of query and key rows in a Llama.
    `norm_offset`: what is to be added to the weights of norms; 1 where a file keeps them around zero."""

    config: ModelConfig
    entries: Mapping[str, TensorEntry]
    permuted: bool
    norm_offset: float = 0.0

    def read(self, name: str) -> Floats:
        """One tensor in fp32, in HF's layout; norms as they are multiplied."""
        values = self.entries[name].read()
        if self.norm_offset and name.endswith("norm.weight"):
            return values + np.float32(self.norm_offset)
        if self.permuted and name.endswith("self_attn.q_proj.weight"):
            return unpermute(values, self.config.heads)
        if self.permuted and name.endswith("self_attn.k_proj.weight"):
            return unpermute(values, self.config.kv_heads)
        return values

    def is_grouped(self, name: str) -> bool:
        """Is it stored in 4-bit groups, which `read_groups` gives without rounding?"""
        return is_grouped(self.entries[name])

    def read_groups(self, name: str) -> Groups:
        """One tensor that `is_grouped`, in HF's layout."""
        groups = read_groups(self.entries[name])
        order = np.arange(len(groups.numbers))
        if self.permuted and name.endswith("self_attn.q_proj.weight"):
            return groups.rows(unpermute(order, self.config.heads))
        if self.permuted and name.endswith("self_attn.k_proj.weight"):
            return groups.rows(unpermute(order, self.config.kv_heads))
        return groups

    def __iter__(self) -> Iterator[tuple[str, Floats]]:
        for name in self.entries:
            yield name, self.read(name)


def gguf_weights(path: Path, config: ModelConfig) -> Weights:
    """Raises `BadModel` when a tensor is missing, has the wrong shape, or a type we cannot read."""
    tensors = read_gguf(path, with_arrays=False).tensors
    names = {name: gguf_name(name, config.post_norms) for name in expected_shapes(config)}
    found = {name: (own, tensors.get(own)) for name, own in names.items()}
    supported = ", ".join(format.name for format in GGUF_FORMATS.values())
    known = {own for own, _ in found.values()} | {"rope_freqs.weight"}
    refuse_surplus(path, tensors.keys() - known, "blk.")
    permuted = config.architecture == "llama"
    return Weights(config, checked(path, config, found, supported), permuted)


def safetensors_weights(paths: Iterable[Path], config: ModelConfig) -> Weights:
    """The same for the shards of a folder."""
    tensors: dict[str, TensorEntry] = {}
    folder = Path()
    for path in paths:
        folder = path.parent
        tensors.update(read_safetensors(path))
    found = {name: (name, tensors.get(name)) for name in expected_shapes(config)}
    refuse_surplus(
        folder, {name for name in tensors.keys() - found.keys() if "rotary_emb" not in name}, "model.layers."
    )
    offset = 1.0 if config.architecture == "gemma3" else 0.0
    return Weights(config, checked(folder, config, found, ", ".join(SAFETENSORS_FORMATS)), False, offset)


def refuse_surplus(origin: Path, names: Iterable[str], prefix: str) -> None:
    """A tensor inside a layer that we would ignore means another model than the one we would run."""
    surplus = sorted(name for name in names if name.startswith(prefix))
    if surplus:
        raise BadModel(
            f"{origin}: tensor {surplus[0][:80]!r} is not part of this architecture as Pie knows it, "
            "so it would be ignored"
        )


def checked(
    origin: Path, config: ModelConfig, found: Mapping[str, tuple[str, TensorEntry | None]], supported: str
) -> dict[str, TensorEntry]:
    entries: dict[str, TensorEntry] = {}
    for name, shape in expected_shapes(config).items():
        own_name, entry = found[name]
        if entry is None:
            raise BadModel(f"{origin}: tensor {own_name!r} is missing")
        if entry.format is None:
            raise BadModel(
                f"{origin}: tensor {own_name!r} has type {entry.format_name}, which is not supported; "
                f"supported are {supported}"
            )
        if entry.shape != shape:
            raise BadModel(
                f"{origin}: tensor {own_name!r} has shape {entry.shape}, the configuration says {shape}"
            )
        entries[name] = entry
    return entries


def open_weights(model: StoredModel) -> Weights:
    if model.format == "gguf":
        return gguf_weights(model.weight_paths[0], model.config)
    return safetensors_weights(model.weight_paths, model.config)


def read_config(model: StoredModel) -> ModelConfig:
    return model.config


def read_tensors(model: StoredModel) -> Iterator[tuple[str, Floats]]:
    """Every tensor in fp32 under its name and in its layout in HF's classes, one at a time.

    `lm_head.weight` comes only where it is not tied to the embedding. Raises `BadModel`.
    """
    return iter(open_weights(model))
