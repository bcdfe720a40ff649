"""The shape of a model, read from a GGUF's metadata or a `config.json`, and checked.

A wrong number here would be a wrong allocation later, so everything has a bound.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from pie.core.errors import BadModel

SUPPORTED = ("llama", "mistral", "qwen2", "qwen3", "gemma3")
"""Architectures; GGUF files of Mistral call themselves llama."""


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """How rotary frequencies are stretched for long contexts.

    `linear`: positions are divided by `factor`. `llama3`: by wave length, as in Llama 3.1. `factors`: each of
    the `head_dim / 2` frequencies is divided by its own of `factors` (GGUF's form of `llama3`).
    """

    kind: Literal["linear", "llama3", "factors"]
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context_length: int = 8192
    factors: tuple[float, ...] = ()


Activation = Literal["silu", "gelu_tanh"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes count numbers, not bytes; `context_length`, `vocabulary_size` and `window` count tokens.

    What follows `architecture` tells the families apart; without any of it a model is a plain Llama.
    """

    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocabulary_size: int
    context_length: int
    rope_theta: float
    rope_scaling: RopeScaling | None
    norm_eps: float
    tied_embeddings: bool
    architecture: str = "llama"
    qkv_bias: bool = False
    """Queries, keys and values have a bias."""
    qk_norm: bool = False
    """Each head of queries and keys is normalised, with one weight for all heads."""
    post_norms: bool = False
    """What attention and MLP add is normalised too, as in Gemma."""
    activation: Activation = "silu"
    embedding_scale: float = 1.0
    query_scale: float | None = None
    """Of the scores of attention; None: one over the root of `head_dim`."""
    window: int = 0
    """In windowed layers a token sees only those whose position is less than so many before its own."""
    windowed_layers: tuple[int, ...] = ()
    window_rope_theta: float | None = None
    """The base of the rotary frequencies in windowed layers, where it is another one (and not scaled)."""

    def is_windowed(self, layer: int) -> bool:
        return layer in self.windowed_layers


@dataclass(frozen=True, slots=True)
class Bounds:
    """No real model is near these."""

    hidden_size: int = 1 << 17
    layers: int = 1 << 10
    heads: int = 1 << 11
    kv_heads: int = 1 << 11
    head_dim: int = 1 << 11
    intermediate_size: int = 1 << 20
    vocabulary_size: int = 1 << 22
    context_length: int = 1 << 25


class Keys:
    """Reads typed values from untrusted `values`; errors name the file and the key."""

    def __init__(self, origin: str, values: Mapping[str, object]) -> None:
        self.origin = origin
        self._values = values

    def has(self, key: str) -> bool:
        return self._values.get(key) is not None

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def number(self, key: str, default: float | None = None) -> float:
        value = self._values.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(key, "a number", value)
        try:
            return float(value)
        except OverflowError:  # JSON has whole numbers of any length
            raise self.bad(key, "a number that a double can hold", value) from None

    def integer(self, key: str, default: int | None = None) -> int:
        value = self._values.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.bad(key, "a whole number", value)
        return value

    def boolean(self, key: str, default: bool = False) -> bool:
        value = self._values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.bad(key, "true or false", value)
        return value

    def text(self, key: str, default: str = "") -> str:
        value = self._values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.bad(key, "a text", value)
        return value

    def inner(self, key: str) -> "Keys | None":
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.bad(key, "an object", value)
        return Keys(f"{self.origin}, {key}", value)

    def bad(self, key: str, wanted: str, value: object) -> BadModel:
        if value is None:
            return BadModel(f"{self.origin}: {key!r} is missing")
        return BadModel(f"{self.origin}: {key!r} should be {wanted}, not {str(value)[:60]!r}")


def unsupported(origin: str, what: str) -> BadModel:
    return BadModel(
        f"{origin}: {what} is not supported; Pie runs models of the architectures {', '.join(SUPPORTED)}"
    )


def check_config(origin: str, config: ModelConfig) -> ModelConfig:
    """`config` itself. Raises `BadModel` naming the value that cannot be."""
    bounds = Bounds()
    for field in fields(bounds):
        value, most = getattr(config, field.name), getattr(bounds, field.name)
        if not 1 <= value <= most:
            raise BadModel(f"{origin}: {field.name} is {value}, not between 1 and {most}")
    if config.heads % config.kv_heads:
        raise BadModel(f"{origin}: {config.heads} heads cannot share {config.kv_heads} key-value heads")
    if config.head_dim % 2:
        raise BadModel(f"{origin}: head_dim is {config.head_dim}, which rotary positions cannot halve")
    if not (0 < config.norm_eps < 1 and 0 < config.rope_theta < math.inf):
        raise BadModel(f"{origin}: norm_eps {config.norm_eps} or rope_theta {config.rope_theta} cannot be")
    check_scaling(origin, config)
    check_family(origin, config)
    return config


def check_family(origin: str, config: ModelConfig) -> None:
    if config.windowed_layers and not 1 <= config.window <= Bounds().context_length:
        raise BadModel(f"{origin}: a sliding window of {config.window} tokens cannot be")
    if not all(0 <= layer < config.layers for layer in config.windowed_layers):
        raise BadModel(f"{origin}: the layers with a sliding window are not those of the model")
    scales = (config.embedding_scale, config.query_scale or 1.0, config.window_rope_theta or 1.0)
    if not all(0 < scale < math.inf for scale in scales):
        raise BadModel(f"{origin}: the scales of embedding, queries or rotary frequencies {scales} cannot be")


def check_scaling(origin: str, config: ModelConfig) -> None:
    scaling = config.rope_scaling
    if scaling is None:
        return
    wanted = config.head_dim // 2 if scaling.kind == "factors" else 0
    numbers = (scaling.factor, scaling.low_freq_factor, scaling.high_freq_factor, *scaling.factors)
    if len(scaling.factors) != wanted or not all(0 < number < math.inf for number in numbers):
        raise BadModel(f"{origin}: the rope scaling ({scaling.kind}) does not fit head_dim {config.head_dim}")
    if scaling.kind == "llama3" and scaling.low_freq_factor >= scaling.high_freq_factor:
        raise BadModel(f"{origin}: the rope scaling's low_freq_factor is not below its high_freq_factor")


def head_dim_of(origin: str, hidden_size: int, heads: int) -> int:
    if heads < 1 or hidden_size % heads:
        raise BadModel(f"{origin}: a hidden size of {hidden_size} cannot be shared by {heads} heads")
    return hidden_size // heads
