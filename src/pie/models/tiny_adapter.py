"""Random LoRA adapters for tests, in the files that PEFT writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from pie.models.adapters import CONFIG, PREFIX, WEIGHTS, linear_shapes
from pie.models.config import ModelConfig
from pie.models.numbers import Floats
from pie.models.tiny import TINY, write_json


@dataclass(frozen=True, slots=True)
class TinyAdapter:
    """What to write. `targets`: ends of module names; `ranks`, `alphas`: exceptions by module."""

    rank: int = 4
    alpha: float = 8.0
    rooted: bool = False
    targets: Sequence[str] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    ranks: Mapping[str, int] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    layers: Sequence[int] | None = None
    strength: float = 0.2
    """Standard deviation of the numbers; PEFT's own start, B = 0, would change nothing."""


def write_tiny_adapter(
    folder: Path, what: TinyAdapter | None = None, config: ModelConfig = TINY, seed: int = 0
) -> Path:
    """Writes an adapter that `open_adapter` and PEFT load; `folder` itself."""
    chosen = what or TinyAdapter()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, adapter_json(chosen))
    save_file(adapter_tensors(chosen, config, seed), folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def adapter_json(what: TinyAdapter) -> dict[str, Any]:
    """Among them settings that change nothing, as PEFT writes them."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "tiny",
        "r": what.rank,
        "lora_alpha": what.alpha,
        "use_rslora": what.rooted,
        "rank_pattern": dict(what.ranks),
        "alpha_pattern": dict(what.alphas),
        "target_modules": list(what.targets),
        "layers_to_transform": None if what.layers is None else list(what.layers),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layer_replication": None,
        "lora_bias": False,
        "lora_dropout": 0.05,
        "megatron_config": None,
        "modules_to_save": None,
        "target_parameters": None,
        "trainable_token_indices": None,
        "use_dora": False,
    }


def adapter_tensors(what: TinyAdapter, config: ModelConfig, seed: int) -> dict[str, Floats]:
    random = np.random.default_rng(seed)
    tensors: dict[str, Floats] = {}
    for module, (out, inner) in linear_shapes(config).items():
        if not module.endswith(tuple("." + target for target in what.targets)):
            continue
        if what.layers is not None and int(module.split(".")[2]) not in what.layers:
            continue
        ranks = [rank for key, rank in what.ranks.items() if module.endswith("." + key)]
        rank = ranks[0] if ranks else what.rank
        for side, shape in (("A", (rank, inner)), ("B", (out, rank))):
            values = random.standard_normal(shape) * what.strength
            tensors[f"{PREFIX}{module}.lora_{side}.weight"] = values.astype(np.float32)
    return tensors
