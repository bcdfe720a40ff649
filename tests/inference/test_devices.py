"""Other devices than the processor, as far as can be seen without one.

torch's `FakeTensorMode` works out the shape and device of every tensor, and refuses an operation on tensors
of two devices. `meta`, a device without numbers, stands in for the GPU.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import FakeTensorMode

from pie.core.commands import SamplingSpec
from pie.core.errors import OutOfResources, Unavailable
from pie.core.passes import Pass
from pie.core.progress import NoProgress
from pie.inference import devices, executor
from pie.inference.devices import TorchDevice, fetched, open_device
from pie.inference.executor import ModelExecutor
from pie.inference.forms import BrainForm
from pie.inference.prepared import PreparedWeights
from pie.inference.settings import InferenceSettings
from pie.models import StoredModel
from pie.models.tiny_adapter import write_tiny_adapter
from pie.testing.passes import PassBuilder

META = torch.device("meta")
SETTINGS = InferenceSettings(page_size=8, pages=8, host_pages=4, embs=64, threads=1)
WITHOUT_CUDA = pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is built for CUDA")


class Launches:
    """In the kernel's place: sees that all it is given lies on the device."""

    def __init__(self) -> None:
        self.count = 0

    def __getitem__(self, grid: tuple[int, int]) -> Callable[..., None]:
        assert min(grid) > 0
        return self._launch

    def _launch(self, *given: object, **options: object) -> None:
        del options
        tensors = [one for one in given if isinstance(one, torch.Tensor)]
        assert len(tensors) == 7
        assert {tensor.device for tensor in tensors} == {META}
        self.count += 1


def on_meta(name: str, threads: int) -> TorchDevice:
    del name
    return TorchDevice(META, threads)


def run_again(run: Callable[[], torch.Tensor]) -> Any:
    """In place of capturing a graph."""
    captured = importlib.import_module("pie.inference.triton_graphs").Captured
    out = run()
    return captured(lambda: out.copy_(run()), out)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes in bytes of what came back from the device: small numbers that nobody worked out."""
    sizes: list[int] = []

    def copied(data: torch.Tensor) -> NDArray[np.uint8]:
        assert data.device == META
        sizes.append(len(data))
        return np.resize(np.array([1, 0, 0, 0], np.uint8), len(data))

    monkeypatch.setattr(devices, "copied", copied)
    return sizes


@pytest.fixture
def elsewhere(
    tiny_model: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModelExecutor]:
    """An executor whose numbers lie on another device, with an adapter, and graphs that are not captured."""
    pytest.importorskip("triton", reason="Triton is not installed: there is no attention for GPUs")
    weights = PreparedWeights(tmp_path).load(tiny_model, tiny_model.config, BrainForm(), NoProgress())
    monkeypatch.setattr(PreparedWeights, "load", lambda *_: weights)
    monkeypatch.setattr(devices, "open_device", on_meta)
    monkeypatch.setattr("pie.inference.triton_attention.attend_tiles", Launches())
    monkeypatch.setattr("pie.inference.triton_graphs.CudaCapture", lambda: run_again)
    adapters = (("a", str(write_tiny_adapter(tmp_path / "a"))),)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield ModelExecutor(tiny_model, replace(SETTINGS, device="cuda", adapters=adapters, cuda_graphs=True))


def prompt() -> PassBuilder:
    return PassBuilder().fresh(1).embed([5, 6, 7], range(3), range(3))


def decode() -> PassBuilder:
    return PassBuilder().embed([8], [3], [0])


def drawn(seed: int, temperature: float = 1.0) -> SamplingSpec:
    return SamplingSpec(temperature=temperature, seed=seed, repetition_penalty=1.1, seen=(3, 4))


PASSES = {
    "prefill": prompt().forward(range(3), [1], [8, 9, 10], {2: 40}).dist(40, 5, [1, 2]).dist(40, 1),
    "prefill with a mask": prompt().forward(range(3), [1], [8, 9, 10], {2: 40}, [[8, 3]] * 3).dist(40),
    "decode": decode().forward([0], [1, 2], [11], {0: 40}).dist(40, 0),
    "decode over a token": decode().forward([0], [1], [8], {0: 40}).dist(40),
    "copies and page masks": decode().copy(1, 0, 2, 3, 4).copy(1, 0, 1, 3, 2).show(1, 5).forward([0], [1, 2]),
    "greedy sample": decode().forward([0], [1], [], {0: 40}).sample(40, 3, SamplingSpec()),
    "sample": decode().forward([0], [1], [], {0: 40}).sample(40, 3, drawn(1)),
    "score": decode().forward([0], [1], [], {0: 40}).score(40, 7).score(40, 8),
    "adapter for all": decode().adapt(0).forward([0], [1], [], {0: 40}).dist(40),
    "adapter for one": decode().embed([9], [4], [1]).adapt(0).forward([0], [1]).forward([1]).dist(0),
    "watched": decode().watch().forward([0], [1], [], {0: 40}),
    "suspended and back": PassBuilder().swap_out(1, 0).swap_in(0, 2),
    "grammar": decode().grammar(0, "regex", "a+", 0).forward([0], [1], [], {0: 40})
    .sample(40, 3, SamplingSpec(), 0).dist(40, 4, (), 0),
}  # fmt: skip


def test_the_stand_in_notices_two_devices() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.raises(RuntimeError, match="same device"):
        torch.zeros(2, device=META) + torch.from_numpy(np.zeros(2, np.float32))


def execute(worker: ModelExecutor, work: Pass) -> Any:
    result = worker.execute(work)
    assert result.error == ""
    return result


@pytest.mark.parametrize("name", PASSES)
def test_no_operation_of_a_pass_mixes_devices(elsewhere: ModelExecutor, copies: list[int], name: str) -> None:
    execute(elsewhere, prompt().forward(range(3), [1], [8, 9, 10], {2: 40}).build())
    assert not copies
    result = execute(elsewhere, PASSES[name].build())
    asked = len(result.top_starts) > 1, len(result.score_logprobs), len(result.sampled), len(result.attention)
    pages = len(PASSES[name].build().swap_outs) // 2
    assert len(copies) == sum(map(bool, asked)) + pages  # one for each kind of answer, whatever it holds


def test_a_sampled_token_goes_back_to_the_device(elsewhere: ModelExecutor, copies: list[int]) -> None:
    execute(elsewhere, prompt().forward(range(3), [1], [8, 9, 10], {2: 40}).sample(40, 3, drawn(2)).build())
    execute(elsewhere, PassBuilder().embed_slot([3], [3], [5]).forward([5], [1], [11]).build())
    assert len(copies) == 1


def test_on_a_gpu_the_weights_are_bf16(elsewhere: ModelExecutor) -> None:
    assert elsewhere.spec.precision == "bf16 (on a GPU); pages in fp32"
    assert elsewhere.spec.device == "cuda"


def test_a_gpu_that_has_failed_ends_the_process(
    tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = ModelExecutor(tiny_model, replace(SETTINGS, kernels="torch"))

    def fail(_: torch.device) -> None:
        raise torch.AcceleratorError("an illegal memory access was encountered")

    monkeypatch.setattr(devices, "finish", fail)
    with pytest.raises(SystemExit, match="the device cpu has failed: an illegal memory access"):
        worker.execute(PassBuilder().build())


def test_a_device_that_is_full_at_the_start_is_an_error_that_says_what_to_do(
    tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(executor, "EmbStorage", fail)
    with pytest.raises(OutOfResources, match=r"no room on cpu .* take fewer --pages"):
        ModelExecutor(tiny_model, replace(SETTINGS, kernels="torch"))


def test_numbers_of_several_kinds_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [
        torch.arange(6, dtype=torch.int64).view(2, 3).t(),
        torch.tensor([1.5, -2.5]),
        torch.empty(0, dtype=torch.int32),
        torch.tensor([0.1], dtype=torch.float64),
    ]
    plain = fetched(*tensors)
    monkeypatch.setattr(torch.Tensor, "is_cpu", False)
    moved = fetched(*tensors)
    assert [array.dtype for array in moved] == [array.dtype for array in plain]
    assert all(np.array_equal(*pair) for pair in zip(moved, plain, strict=True))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CUDA", "", "cpu:0"])
def test_a_device_of_another_kind_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(Unavailable, match="not offered; use cpu, cuda or cuda:N"):
        open_device(name)


@WITHOUT_CUDA
def test_without_cuda_the_error_names_the_torch_that_has_none(tiny_model: StoredModel) -> None:
    with pytest.raises(Unavailable, match=f"this torch has no CUDA: {torch.__version__[:4]}"):
        ModelExecutor(tiny_model, replace(SETTINGS, device="cuda:1"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"precision": "int8"}, "for the processor; on a GPU use bf16 or fp32"),
        ({"kv_precision": "int8"}, "needs the compiled kernels, on the processor"),
        ({"cuda_graphs": True, "kernels": "torch"}, "needs the Triton kernel"),
    ],
)
def test_what_a_gpu_does_not_offer_is_refused(
    tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(devices, "open_device", on_meta)
    with pytest.raises(Unavailable, match=says):
        ModelExecutor(tiny_model, replace(SETTINGS, device="cuda", **wrong))


def test_the_processor_has_no_graphs(tiny_model: StoredModel) -> None:
    with pytest.raises(Unavailable, match="cuda_graphs is for GPUs; leave it out"):
        ModelExecutor(tiny_model, replace(SETTINGS, cuda_graphs=True))
