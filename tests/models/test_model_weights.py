"""Whatever file weights lie in, they come out under HF's names, in HF's layout, in fp32."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from pie.core.errors import BadModel
from pie.core.progress import NoProgress
from pie.models import ModelStore, StoredModel, read_config, read_tensors
from pie.models.tiny import TINY, random_tensors, write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf


def oracle(folder: Path, **options: Any) -> dict[str, Any]:
    """The same weights as transformers loads them."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", **options)
    return {name: values.numpy() for name, values in model.state_dict().items()}


def assert_same(model: StoredModel, expected: dict[str, Any]) -> None:
    for name, values in read_tensors(model):
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("format", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_gguf_weights_equal_what_transformers_dequantises(
    tmp_path: Path, store: ModelStore, format: str
) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", format=format)
    model = store.pull(str(path), NoProgress())
    assert_same(model, oracle(tmp_path, gguf_file=path.name))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shards", [1, 3])
def test_safetensors_equal_what_transformers_loads(
    tmp_path: Path, store: ModelStore, shards: int, tied: bool
) -> None:
    folder = write_tiny_llama(tmp_path / "tiny", replace(TINY, tied_embeddings=tied), shards=shards)
    model = store.pull(str(folder), NoProgress())
    assert_same(model, oracle(folder))
    assert ("lm_head.weight" in dict(read_tensors(model))) is not tied
    assert read_config(model).tied_embeddings is tied


def test_reading_is_lazy(tiny_model: StoredModel) -> None:
    names = [name for name, _ in zip((name for name, _ in read_tensors(tiny_model)), range(2), strict=False)]
    assert names[0] == "model.embed_tokens.weight"
    assert names[1].startswith("model.layers.0.")


def test_permuted_rows_of_grouped_keys_are_put_back(tmp_path: Path, store: ModelStore) -> None:
    config = replace(TINY, heads=8, kv_heads=1, head_dim=16)
    model = store.pull(str(write_tiny_gguf(tmp_path / "a.gguf", config)), NoProgress())
    assert_same(model, random_tensors(config, seed=0))


def edited(folder: Path, **changes: Any) -> Path:
    """The folder with some tensors replaced, or removed where the change is None."""
    path = folder / "model.safetensors"
    tensors = {**load_file(path), **changes}
    save_file({name: values for name, values in tensors.items() if values is not None}, path)
    return folder


KEY = "model.layers.1.self_attn.k_proj.weight"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({KEY: None}, f"'{KEY}' is missing"),
        ({KEY: np.ones((3, 3), np.float32)}, rf"'{KEY}' has shape \(3, 3\)"),
        ({KEY: np.ones((16, 32), np.float64)}, f"'{KEY}' has type F64.*supported are F32, F16, BF16"),
        ({"model.layers.0.self_attn.q_proj.bias": np.ones(32, np.float32)}, "q_proj.bias.*ignored"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    tiny_folder: Path, store: ModelStore, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadModel, match=complaint):
        store.pull(str(edited(tiny_folder, **changes)), NoProgress())
    assert store.models() == []


def test_a_number_format_of_gguf_we_cannot_read_is_named_with_its_tensor(
    tmp_path: Path, store: ModelStore
) -> None:
    path = write_tiny_gguf(tmp_path / "a.gguf", format="MXFP4")
    with pytest.raises(BadModel, match=r"'token_embd.weight' has type MXFP4.*supported are F32"):
        store.pull(str(path), NoProgress())


@pytest.mark.model
def test_the_default_model_has_all_its_numbers(default_model: StoredModel) -> None:
    assert sum(values.size for _, values in read_tensors(default_model)) == 134_515_008
