"""Prepared weights: made once, mapped afterwards, made again when damaged."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pie.core.errors import OutOfResources
from pie.core.progress import NoProgress
from pie.inference import prepared
from pie.inference.layout import in_pairs, plan_layout
from pie.inference.llama import LlamaWeights
from pie.inference.prepared import DATA, INDEX, PreparedWeights
from pie.models import LlamaConfig, StoredModel, read_config, read_tensors
from pie.models.tiny import TINY


@pytest.fixture
def cache(tmp_path: Path) -> PreparedWeights:
    return PreparedWeights(tmp_path / "prepared")


def load(cache: PreparedWeights, model: StoredModel) -> LlamaWeights:
    return cache.load(model, read_config(model), NoProgress())


def only_folder(cache: PreparedWeights) -> Path:
    (folder,) = cache.folder.iterdir()
    return folder


def flip_bit(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_the_weights_are_those_of_the_checkpoint(cache: PreparedWeights, tiny_model: StoredModel) -> None:
    weights = load(cache, tiny_model)
    tensors = {name: torch.from_numpy(values.copy()) for name, values in read_tensors(tiny_model)}
    assert torch.equal(weights.embedding, tensors["model.embed_tokens.weight"])
    assert weights.head.data_ptr() == weights.embedding.data_ptr()
    layer, names = weights.layers[1], "model.layers.1."
    assert torch.equal(layer.down, tensors[names + "mlp.down_proj.weight"])
    assert torch.equal(layer.gate_up[: TINY.intermediate_size], tensors[names + "mlp.gate_proj.weight"])
    assert torch.equal(layer.gate_up[TINY.intermediate_size :], tensors[names + "mlp.up_proj.weight"])
    values = layer.qkv[-TINY.kv_heads * TINY.head_dim :]
    assert torch.equal(values, tensors[names + "self_attn.v_proj.weight"])


def test_rotary_pairs_become_neighbours() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]
    assert in_pairs(rows, heads=2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_no_two_tensors_of_the_layout_overlap() -> None:
    layout = plan_layout(TINY)
    ends = 0
    for part in sorted(layout.parts.values(), key=lambda part: part.start):
        assert part.start >= ends
        ends = part.start + part.size
    assert ends <= layout.size


def test_a_second_start_maps_what_the_first_has_made(
    cache: PreparedWeights, tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(cache, tiny_model)
    monkeypatch.setattr(prepared, "write_weights", None)
    assert torch.equal(first.layers[0].qkv, load(cache, tiny_model).layers[0].qkv)


def test_models_do_not_share_a_folder(
    cache: PreparedWeights, tiny_model: StoredModel, make_model: Callable[[LlamaConfig], StoredModel]
) -> None:
    load(cache, tiny_model)
    load(cache, make_model(LlamaConfig(**{**vars_of(TINY), "layers": 1})))
    assert len(list(cache.folder.iterdir())) == 2


def vars_of(config: LlamaConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in LlamaConfig.__dataclass_fields__}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit in the weights": lambda folder: flip_bit(folder / DATA, 1000),
    "a flipped bit at the end": lambda folder: flip_bit(folder / DATA, -5),
    "weights cut short": lambda folder: os.truncate(folder / DATA, 5000),
    "no weights": lambda folder: (folder / DATA).unlink(),
    "no index": lambda folder: (folder / INDEX).unlink(),
    "an index that is no JSON": lambda folder: (folder / INDEX).write_bytes(b"{"),
    "an index of something else": lambda folder: (folder / INDEX).write_bytes(b'{"version": 1}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_made_again_with_a_warning(
    cache: PreparedWeights, tiny_model: StoredModel, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = load(cache, tiny_model).embedding.clone()
    DAMAGES[damage](only_folder(cache))
    with caplog.at_level(logging.WARNING):
        assert torch.equal(before, load(cache, tiny_model).embedding)
    assert "making them again" in caplog.text
    caplog.clear()
    load(cache, tiny_model)
    assert caplog.text == ""


def test_what_breaks_off_leaves_nothing(
    cache: PreparedWeights, tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutOfResources, match=r"No space left on device.*PIE_HOME"):
        load(cache, tiny_model)
    assert list(cache.folder.iterdir()) == []


def test_whoever_comes_second_uses_what_the_first_made(
    cache: PreparedWeights, tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = prepared.write_weights

    def overtaken(path: Path, *rest: object) -> None:
        write(path, *rest)  # type: ignore[arg-type]
        monkeypatch.setattr(prepared, "write_weights", write)
        load(cache, tiny_model)

    monkeypatch.setattr(prepared, "write_weights", overtaken)
    assert load(cache, tiny_model).embedding.isfinite().all()
    assert only_folder(cache).name.startswith(tiny_model.digest[:32])


def test_removing_the_folder_does_not_hurt_who_has_mapped_it(
    cache: PreparedWeights, tiny_model: StoredModel
) -> None:
    weights = load(cache, tiny_model)
    before = weights.embedding.clone()
    shutil.rmtree(only_folder(cache))
    assert torch.equal(before, weights.embedding)
