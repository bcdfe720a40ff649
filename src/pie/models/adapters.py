"""LoRA adapters as PEFT saves them: `adapter_config.json` beside `adapter_model.safetensors`.

Low-rank changes of linear layers (Hu et al. 2021, "LoRA"): W x becomes W x + scale * B (A x), with scale
alpha / r, or alpha / sqrt(r) for rank-stabilised ones (Kalajdzievski 2023). What an adapter changes beyond
that is refused by name, never ignored. Nothing is unpickled.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pie.core.errors import BadModel
from pie.models.config import Keys, ModelConfig
from pie.models.hf_config import read_json
from pie.models.safetensors_file import FORMATS, read_safetensors
from pie.models.tensor_file import TensorEntry
from pie.models.weights import Shape, expected_shapes

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
PREFIX = "base_model.model."
MOST_RANK = 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LITERAL = re.compile(r"\^?[A-Za-z0-9_.]+")
"""What we take as a key of `rank_pattern` and `alpha_pattern`: a module's name or its end."""
NEITHER: tuple[object, ...] = (None, False, "", [], {})
FOREIGN: Mapping[str, str] = {
    "use_dora": "DoRA",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "arrow_config": "Arrow routing",
    "lora_bias": "a bias in LoRA's own matrices",
    "modules_to_save": "modules trained in full (modules_to_save)",
    "trainable_token_indices": "trained embeddings of single tokens (trainable_token_indices)",
    "layer_replication": "replicated layers (layer_replication)",
    "target_parameters": "LoRA on bare parameters (target_parameters)",
    "alora_invocation_tokens": "activated LoRA (alora_invocation_tokens)",
    "fan_in_fan_out": "transposed weights (fan_in_fan_out)",
}
"""Settings that mean more than a low-rank change of linear layers."""
OTHER_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Initialisations that change the base weights too."""


@dataclass(frozen=True, slots=True)
class LoraModule:
    """The change of one linear layer: `scale` * B A, with A [rank, in] and B [out, rank]."""

    a: TensorEntry
    b: TensorEntry
    scale: float

    @property
    def rank(self) -> int:
        return self.a.shape[0]


@dataclass(frozen=True, slots=True)
class Adapter:
    """`modules` by the linear layer's name in HF's model (`model.layers.0.self_attn.q_proj`)."""

    name: str
    folder: Path
    modules: Mapping[str, LoraModule]


def open_adapter(name: str, folder: Path, config: ModelConfig) -> Adapter:
    """The adapter in `folder`, checked against the model it is for; its numbers are read later.

    Raises `BadModel` that says what is missing, does not fit, or is not supported.
    """
    if not NAME.fullmatch(name):
        raise BadModel(
            f"an adapter cannot be called {name[:80]!r}: use up to 64 letters, digits, dots, dashes and "
            "underscores"
        )
    origin = f"adapter {name!r} ({folder})"
    if not folder.is_dir():
        raise BadModel(f"{origin}: there is no such folder; give the one that holds {CONFIG}")
    if (folder / PICKLED).exists() and not (folder / WEIGHTS).exists():
        raise BadModel(
            f"{origin}: {PICKLED} is a pickle, which could run code: save it with safe_serialization=True"
        )
    scales = Scales(origin, folder / CONFIG)
    return Adapter(name, folder, dict(read_modules(origin, folder / WEIGHTS, scales, config)))


def read_modules(
    origin: str, path: Path, scales: "Scales", config: ModelConfig
) -> Iterator[tuple[str, LoraModule]]:
    shapes = linear_shapes(config)
    tensors = read_safetensors(path)
    if not tensors:
        raise BadModel(f"{origin}: {WEIGHTS} holds no tensors")
    for key in tensors:
        refuse_key(origin, key, shapes)
    for key, a in tensors.items():
        module = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
        b = tensors.get(f"{PREFIX}{module}.lora_B.weight")
        if not key.endswith(".lora_A.weight"):
            if f"{PREFIX}{module.removesuffix('.lora_B.weight')}.lora_A.weight" not in tensors:
                raise BadModel(f"{origin}: {key} has no lora_A beside it")
            continue
        if b is None:
            raise BadModel(f"{origin}: {key} has no lora_B beside it")
        check_shapes(origin, module, shapes[module], a, b)
        yield module, LoraModule(a, b, scales.of(module, a.shape[0]))


def linear_shapes(config: ModelConfig) -> dict[str, Shape]:
    """The linear layers that can be changed: [out, in] each, by their names in HF's model."""
    return {
        name.removesuffix(".weight"): shape
        for name, shape in expected_shapes(config).items()
        if name.startswith("model.layers.") and len(shape) == 2
    }


def refuse_key(origin: str, key: str, shapes: Mapping[str, Shape]) -> None:
    shown = key[:120]
    if "lora_magnitude_vector" in key:
        raise unsupported(origin, "DoRA (a lora_magnitude_vector)")
    if "lora_embedding_" in key or key.startswith(f"{PREFIX}lm_head."):
        raise unsupported(origin, f"LoRA on embeddings or the output head ({shown})")
    found = re.fullmatch(rf"{re.escape(PREFIX)}(.+)\.lora_[AB]\.weight", key)
    if found is None:
        raise unsupported(origin, f"the tensor {shown!r}, which is no lora_A or lora_B of a linear layer,")
    if found[1] not in shapes:
        raise BadModel(f"{origin}: {found[1][:120]!r} is no linear layer of this model: is it for another?")


def check_shapes(origin: str, module: str, shape: Shape, a: TensorEntry, b: TensorEntry) -> None:
    for entry in (a, b):
        if entry.format is None:
            supported = ", ".join(FORMATS)
            raise BadModel(f"{origin}: {entry.name} has type {entry.format_name}; supported: {supported}")
    out, inner = shape
    rank = a.shape[0] if a.shape else 0
    if a.shape != (rank, inner) or b.shape != (out, rank):
        raise BadModel(
            f"{origin}: {module} has LoRA matrices of shapes {a.shape} and {b.shape}, but the model's layer "
            f"is {shape}: they would be (r, {inner}) and ({out}, r)"
        )
    if not 1 <= rank <= MOST_RANK:
        raise BadModel(f"{origin}: {module} has rank {rank}, not 1 to {MOST_RANK}")


class Scales:
    """What `adapter_config.json` says about each module's rank and scale. Raises `BadModel`."""

    def __init__(self, origin: str, path: Path) -> None:
        raw = read_json(path)
        keys = Keys(origin, raw)
        refuse_foreign(origin, keys, raw)
        self._origin = origin
        self._rank = keys.integer("r")
        self._alpha = keys.number("lora_alpha")
        self._rooted = keys.boolean("use_rslora")
        self._ranks = read_pattern(origin, keys, "rank_pattern")
        self._alphas = read_pattern(origin, keys, "alpha_pattern")

    def of(self, module: str, rank: int) -> float:
        """The scale of a module whose matrices have `rank`."""
        said = chosen(self._ranks, module, self._rank)
        if said != rank:
            raise BadModel(f"{self._origin}: {module} has rank {rank}, its configuration says {said:g}")
        return chosen(self._alphas, module, self._alpha) / (math.sqrt(rank) if self._rooted else rank)


def refuse_foreign(origin: str, keys: Keys, raw: Mapping[str, object]) -> None:
    kind = keys.text("peft_type")
    if kind.upper() != "LORA":
        raise unsupported(origin, f"the kind {kind[:60]!r}")
    for setting, meaning in FOREIGN.items():
        if raw.get(setting) not in NEITHER:
            raise unsupported(origin, meaning)
    bias = keys.text("bias", "none")
    if bias != "none":
        raise unsupported(origin, f"a trained bias (bias={bias[:60]!r})")
    init = raw.get("init_lora_weights")
    if isinstance(init, str) and init.lower().startswith(OTHER_BASES):
        raise unsupported(
            origin, f"a base changed by init_lora_weights={init[:60]!r} (convert the adapter to plain LoRA)"
        )


def unsupported(origin: str, what: str) -> BadModel:
    return BadModel(f"{origin}: {what} is not supported; Pie applies plain LoRA to linear layers")


def read_pattern(origin: str, keys: Keys, setting: str) -> dict[str, float]:
    """Numbers by module name. PEFT allows regular expressions there, which no file shall make us run."""
    inner = keys.inner(setting)
    if inner is None:
        return {}
    for key in inner.names():
        if not LITERAL.fullmatch(key):
            raise unsupported(origin, f"the regular expression {key[:80]!r} in {setting}")
    return {key: inner.number(key) for key in inner.names()}


def chosen(pattern: Mapping[str, float], module: str, default: float) -> float:
    """The first key that is the module's name or its end after a dot, as in PEFT."""
    for key, value in pattern.items():
        if module == key.removeprefix("^") or (key[0] != "^" and module.endswith("." + key)):
            return value
    return default
