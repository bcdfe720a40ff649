"""Prepared weights: made once, mapped afterwards, made again when damaged."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from pie.core.errors import OutOfResources
from pie.core.progress import NoProgress
from pie.inference import prepared
from pie.inference.forms import BrainForm, Form, FullForm, PackedForm, RowForm
from pie.inference.layout import Floats, in_pairs
from pie.inference.packing import Packed, fill, turn
from pie.inference.prepared import DATA, INDEX, PreparedWeights, plan_layout
from pie.models import ModelConfig, StoredModel, read_config, read_tensors
from pie.models.tiny import TINY


@pytest.fixture
def cache(tmp_path: Path) -> PreparedWeights:
    return PreparedWeights(tmp_path / "prepared")


FULL = FullForm(tied=True)
FORMS: tuple[Form, ...] = (
    FULL,
    BrainForm(),
    RowForm(),
    *map(PackedForm, ((4,), (8,), (4, 8), (16,), (32,))),
)


def load(cache: PreparedWeights, model: StoredModel, form: Form = FULL) -> dict[str, torch.Tensor]:
    tensors = cache.load(model, read_config(model), form, NoProgress())
    return {name: torch.from_numpy(values) for name, values in tensors.items()}


def only_folder(cache: PreparedWeights) -> Path:
    (folder,) = cache.folder.iterdir()
    return folder


def flip_bit(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def read(model: StoredModel) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values.copy()) for name, values in read_tensors(model)}


def fused(tensors: dict[str, torch.Tensor], *names: str) -> torch.Tensor:
    return torch.cat([tensors[f"model.layers.1.{name}.weight"] for name in names])


def test_the_weights_are_those_of_the_checkpoint(cache: PreparedWeights, tiny_model: StoredModel) -> None:
    weights, tensors = load(cache, tiny_model), read(tiny_model)
    assert torch.equal(weights["embedding"], tensors["model.embed_tokens.weight"])
    assert "head" not in weights
    assert torch.equal(weights["1.down"], fused(tensors, "mlp.down_proj"))
    assert torch.equal(weights["1.gate_up"], fused(tensors, "mlp.gate_proj", "mlp.up_proj"))
    values = weights["1.qkv"][-TINY.kv_heads * TINY.head_dim :]
    assert torch.equal(values, fused(tensors, "self_attn.v_proj"))


def test_brain_floats_are_rounded_as_torch_does(cache: PreparedWeights, tiny_model: StoredModel) -> None:
    weights, tensors = load(cache, tiny_model, BrainForm()), read(tiny_model)
    assert torch.equal(weights["1.down"].view(torch.bfloat16), fused(tensors, "mlp.down_proj").bfloat16())


def test_rows_of_bytes_are_within_half_a_step(cache: PreparedWeights, tiny_model: StoredModel) -> None:
    weights, wanted = load(cache, tiny_model, RowForm()), fused(read(tiny_model), "mlp.down_proj")
    scales = weights["1.down.scales"][:, None]
    assert ((weights["1.down"] * scales - wanted).abs() <= 0.501 * scales).all()


def packed_down(cache: PreparedWeights, model: StoredModel, bits: Literal[4, 8]) -> Floats:
    weights = load(cache, model, PackedForm((bits,)))
    return Packed(TINY.hidden_size, TINY.intermediate_size, bits, weights["1.down"].numpy()).floats()


def test_groups_are_within_half_a_step(cache: PreparedWeights, tiny_model: StoredModel) -> None:
    groups = fused(read(tiny_model), "mlp.down_proj").view(-1, 32)
    step = (groups.amax(1) - groups.amin(1)) / 15
    error = (torch.from_numpy(packed_down(cache, tiny_model, 4)).view(-1, 32) - groups).abs().amax(1)
    assert (error <= 0.52 * step + 1e-3 * groups.abs().amax(1)).all()


def test_turned_rows_are_within_half_a_step_where_they_are_turned(
    cache: PreparedWeights, tiny_model: StoredModel
) -> None:
    wanted = turn(fill(fused(read(tiny_model), "mlp.down_proj").numpy()))
    step = np.abs(wanted).max(1, keepdims=True) / 127
    assert (np.abs(turn(packed_down(cache, tiny_model, 8)) - wanted) <= 0.501 * step).all()


def test_what_is_turned_twice_is_as_it_was() -> None:
    values = np.random.default_rng(0).standard_normal((3, 192)).astype(np.float32)
    assert np.allclose(turn(turn(values)), values, atol=1e-5)
    assert np.abs(turn(np.eye(1, 192, dtype=np.float32))).max() == pytest.approx(1 / 8)


def test_gate_and_up_go_in_turns(cache: PreparedWeights, tiny_model: StoredModel) -> None:
    weights, tensors = load(cache, tiny_model, PackedForm((8,))), read(tiny_model)
    inner = TINY.intermediate_size
    packed = Packed(2 * inner, TINY.hidden_size, 8, weights["1.gate_up"].numpy()).floats()
    up = fused(tensors, "mlp.up_proj")
    assert torch.from_numpy(packed[32:64]).allclose(up[:32], atol=0.01)
    assert torch.from_numpy(packed[96:128]).allclose(up[32:64], atol=0.01)


def test_rotary_pairs_become_neighbours() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]
    assert in_pairs(rows, heads=2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_no_two_tensors_of_a_layout_overlap(form: Form) -> None:
    layout = plan_layout(TINY, form)
    ends = 0
    for region in sorted(layout.regions.values(), key=lambda region: region.start):
        assert region.start >= ends
        ends = region.start + region.size
    assert ends <= layout.size


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_form_has_a_folder_of_its_own(
    cache: PreparedWeights, tiny_model: StoredModel, form: Form
) -> None:
    load(cache, tiny_model, form)
    assert f"-{form.name}-" in only_folder(cache).name


def test_a_second_start_maps_what_the_first_has_made(
    cache: PreparedWeights, tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(cache, tiny_model)
    monkeypatch.setattr(prepared, "write_weights", None)
    assert torch.equal(first["0.qkv"], load(cache, tiny_model)["0.qkv"])


def test_models_do_not_share_a_folder(
    cache: PreparedWeights, tiny_model: StoredModel, make_model: Callable[[ModelConfig], StoredModel]
) -> None:
    load(cache, tiny_model)
    load(cache, make_model(ModelConfig(**{**vars_of(TINY), "layers": 1})))
    assert len(list(cache.folder.iterdir())) == 2


def vars_of(config: ModelConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in ModelConfig.__dataclass_fields__}


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
    before = load(cache, tiny_model)["embedding"].clone()
    DAMAGES[damage](only_folder(cache))
    with caplog.at_level(logging.WARNING):
        assert torch.equal(before, load(cache, tiny_model)["embedding"])
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

    def overtaken(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(prepared, "write_weights", write)
        load(cache, tiny_model)

    monkeypatch.setattr(prepared, "write_weights", overtaken)
    assert load(cache, tiny_model)["embedding"].isfinite().all()
    assert only_folder(cache).name.startswith(tiny_model.digest[:32])


def test_removing_the_folder_does_not_hurt_who_has_mapped_it(
    cache: PreparedWeights, tiny_model: StoredModel
) -> None:
    weights = load(cache, tiny_model)
    before = weights["embedding"].clone()
    shutil.rmtree(only_folder(cache))
    assert torch.equal(before, weights["embedding"])
