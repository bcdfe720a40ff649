"""LoRA adapters are read as PEFT writes them; what they ask for beyond plain LoRA is refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pie.core.errors import BadModel
from pie.models import open_adapter
from pie.models.adapters import CONFIG, PREFIX, WEIGHTS
from pie.models.tiny import TINY
from pie.models.tiny_adapter import TinyAdapter, write_tiny_adapter

Q0 = "model.layers.0.self_attn.q_proj"
DOWN1 = "model.layers.1.mlp.down_proj"


def change_config(folder: Path, **changes: Any) -> Path:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def change_tensors(folder: Path, **changes: Any) -> Path:
    tensors = load_file(folder / WEIGHTS)
    for name, values in changes.items():
        if values is None:
            del tensors[name]
        else:
            tensors[name] = np.zeros(values, np.float32)
    save_file(tensors, folder / WEIGHTS)
    return folder


def refusal(folder: Path, name: str = "mine") -> str:
    with pytest.raises(BadModel) as caught:
        open_adapter(name, folder, TINY)
    return str(caught.value)


def test_every_module_comes_with_its_matrices_and_its_scale(tmp_path: Path) -> None:
    folder = write_tiny_adapter(tmp_path, TinyAdapter(rank=4, alpha=10))
    adapter = open_adapter("mine", folder, TINY)
    saved = load_file(folder / WEIGHTS)
    assert adapter.name == "mine"
    assert len(adapter.modules) == 7 * TINY.layers
    module = adapter.modules[Q0]
    assert (module.rank, module.scale) == (4, 2.5)
    np.testing.assert_array_equal(module.a.read(), saved[f"{PREFIX}{Q0}.lora_A.weight"])
    np.testing.assert_array_equal(module.b.read(), saved[f"{PREFIX}{Q0}.lora_B.weight"])


def test_rank_stabilised_scales_divide_by_the_root_of_the_rank(tmp_path: Path) -> None:
    folder = write_tiny_adapter(tmp_path, TinyAdapter(rank=16, alpha=10, rooted=True))
    assert open_adapter("mine", folder, TINY).modules[Q0].scale == 2.5


def test_modules_may_have_ranks_and_alphas_of_their_own(tmp_path: Path) -> None:
    what = TinyAdapter(
        rank=4, alpha=8, ranks={"down_proj": 2}, alphas={"layers.0.self_attn.q_proj": 2, f"^{DOWN1}": 32}
    )
    modules = open_adapter("mine", write_tiny_adapter(tmp_path, what), TINY).modules
    assert (modules[DOWN1].rank, modules[DOWN1].scale) == (2, 16)
    assert (modules[Q0].rank, modules[Q0].scale) == (4, 0.5)
    assert modules["model.layers.1.self_attn.q_proj"].scale == 2


def test_modules_and_layers_that_were_not_trained_are_left_alone(tmp_path: Path) -> None:
    folder = write_tiny_adapter(tmp_path, TinyAdapter(targets=("q_proj",), layers=[1]))
    assert list(open_adapter("mine", folder, TINY).modules) == ["model.layers.1.self_attn.q_proj"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "IA3"}, "the kind 'IA3'"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "a trained bias"),
        ({"lora_bias": True}, "a bias in LoRA's own matrices"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"rank_pattern": {"(a+)+$": 4}}, "regular expression"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    message = refusal(change_config(write_tiny_adapter(tmp_path), **changes))
    assert words in message
    assert "not supported" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"r": 8}, "has rank 4, its configuration says 8"),
        ({"r": None}, "'r' is missing"),
        ({"lora_alpha": "many"}, "'lora_alpha' should be a number"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert words in refusal(change_config(write_tiny_adapter(tmp_path), **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({f"{PREFIX}{Q0}.lora_B.weight": None}, "has no lora_B"),
        ({f"{PREFIX}{Q0}.lora_A.weight": None}, "has no lora_A"),
        ({f"{PREFIX}{Q0}.lora_A.weight": (4, 99)}, "would be (r, 32)"),
        ({f"{PREFIX}{Q0}.lora_A.weight": (0, 32), f"{PREFIX}{Q0}.lora_B.weight": (32, 0)}, "has rank 0"),
        ({f"{PREFIX}{Q0}.lora_A.weight": ()}, "shapes ()"),
        ({f"{PREFIX}{Q0}.lora_magnitude_vector": (32,)}, "DoRA"),
        ({f"{PREFIX}lm_head.lora_A.weight": (4, 32)}, "output head"),
        ({f"{PREFIX}model.embed_tokens.lora_embedding_A": (4, 32)}, "embeddings"),
        ({f"{PREFIX}model.layers.7.mlp.up_proj.lora_A.weight": (4, 32)}, "is it for another?"),
        ({"something.else": (1,)}, "'something.else'"),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert words in refusal(change_tensors(write_tiny_adapter(tmp_path), **changes))


def test_a_folder_without_the_files_says_which_are_missing(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert CONFIG in refusal(tmp_path)
    write_tiny_adapter(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    assert WEIGHTS in refusal(tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    assert "pickle" in refusal(tmp_path)


def test_names_are_plain(tmp_path: Path) -> None:
    assert "cannot be called" in refusal(write_tiny_adapter(tmp_path), "../x")
