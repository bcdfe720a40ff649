"""LoRA adapters change the tokens of those who asked for them as merged weights would, and nobody else's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file, save_file

from pie.core.errors import BadModel
from pie.core.progress import NoProgress
from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import ModelStore, StoredModel, open_adapter
from pie.models.tiny import TINY, write_tiny_llama
from pie.models.tiny_adapter import TinyAdapter, write_tiny_adapter
from pie.testing.passes import Answer, PassBuilder, answers

SETTINGS = InferenceSettings(page_size=8, pages=32, embs=256, threads=1, precision="fp32", kernels="torch")
ADAPTERS = {
    "all": TinyAdapter(rank=4, alpha=8),
    "rooted": TinyAdapter(rank=2, alpha=3, rooted=True, targets=("q_proj", "v_proj")),
    "uneven": TinyAdapter(
        rank=3,
        ranks={"down_proj": 5},
        alphas={"k_proj": 20},
        targets=("k_proj", "down_proj", "up_proj"),
        layers=[1],
    ),
}
PROMPT = [7, 30, 200, 41, 41, 9, 250, 77, 13, 101]
OUT = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    write_tiny_llama(folder / "tiny")
    for seed, (name, what) in enumerate(ADAPTERS.items()):
        write_tiny_adapter(folder / name, what, seed=seed)
    return folder


def open_tiny(folder: Path, source: Path, *adapters: str) -> ModelExecutor:
    model: StoredModel = ModelStore(folder / "home").pull(str(source), NoProgress(), source.name)
    named = tuple((name, str(folder / name)) for name in adapters)
    return ModelExecutor(model, replace(SETTINGS, adapters=named))


@pytest.fixture(scope="module")
def executor(folder: Path) -> ModelExecutor:
    return open_tiny(folder, folder / "tiny", *ADAPTERS)


def merge(folder: Path, name: str) -> ModelExecutor:
    """The model with the adapter's change added to its own weights, by hand."""
    target = write_tiny_llama(folder / f"merged-{name}")
    weights = load_file(target / "model.safetensors")
    for module, lora in open_adapter(name, folder / name, TINY).modules.items():
        weights[f"{module}.weight"] += lora.scale * (lora.b.read() @ lora.a.read())
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return open_tiny(folder, target)


def adapted(builder: PassBuilder, adapter: int | None) -> None:
    if adapter is not None:
        builder.adapt(adapter)


def run(executor: ModelExecutor, adapters: Sequence[int | None]) -> list[list[Answer]]:
    """The prompt once for each of `adapters`, side by side: prefill, then three steps of decoding."""
    found: list[list[Answer]] = [[] for _ in adapters]
    for first, count in ((0, len(PROMPT) - 3), *((len(PROMPT) - 3 + i, 1) for i in range(3))):
        builder, slot = PassBuilder(), 0
        for row, adapter in enumerate(adapters):
            pages = [2 * row, 2 * row + 1]
            slots = range(slot, slot + count)
            if first == 0:
                builder.fresh(*pages)
            builder.embed(PROMPT[first : first + count], range(first, first + count), slots)
            adapted(builder, adapter)
            targets = [pages[i // 8] * 8 + i % 8 for i in range(first, first + count)]
            builder.forward(slots, pages, targets, {count - 1: OUT + row}).dist(OUT + row, 5, range(320))
            slot += count
        work = builder.build()
        result = executor.execute(work)
        assert result.error == ""
        for row, answer in enumerate(answers(work, result)):
            found[row].append(answer)
    return found


def assert_close(a: Sequence[Answer], b: Sequence[Answer]) -> None:
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(torch.tensor(one.chosen), torch.tensor(other.chosen), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_equals_the_merged_weights(folder: Path, executor: ModelExecutor, name: str) -> None:
    (ours,) = run(executor, [list(ADAPTERS).index(name)])
    (merged,) = run(merge(folder, name), [None])
    (base,) = run(executor, [None])
    assert_close(ours, merged)
    assert ours[0].chosen != pytest.approx(base[0].chosen, abs=1e-2)


def test_many_adapters_in_one_batch_give_what_each_gives_alone(executor: ModelExecutor) -> None:
    mixed: list[int | None] = [1, None, 0, 2, 0, None, 1]
    together = run(executor, mixed)
    for adapter, found in zip(mixed, together, strict=True):
        assert_close(found, run(executor, [adapter])[0])


def test_rows_without_an_adapter_are_not_changed_at_all(executor: ModelExecutor) -> None:
    """Bit for bit: the same batch, once with a neighbour that goes through an adapter."""
    with_neighbour, without = run(executor, [None, 0]), run(executor, [None, None])
    assert with_neighbour[0] == without[0]
    assert with_neighbour[1] != without[1]


def test_pages_that_were_written_through_an_adapter_hold_what_it_made(executor: ModelExecutor) -> None:
    found = []
    for adapter in (None, 0):
        builder = PassBuilder().fresh(0).embed(PROMPT[:4], range(4), range(4))
        adapted(builder, adapter)
        builder.forward(range(4), [0], range(4))
        executor.execute(builder.build())
        work = PassBuilder().embed([5], [4], [0]).forward([0], [0], outputs={0: OUT}).dist(OUT).build()
        found.append(answers(work, executor.execute(work)))
    assert found[0] != found[1]


def test_the_spec_names_the_adapters_in_order(executor: ModelExecutor) -> None:
    assert executor.spec.adapters == tuple(ADAPTERS)


@pytest.mark.parametrize(("segment", "adapter"), [(1, 0), (0, 3), (0, -1)])
def test_a_pass_that_names_no_adapter_or_segment_is_refused(
    executor: ModelExecutor, segment: int, adapter: int
) -> None:
    work = PassBuilder().embed([1], [0], [0]).forward([0]).build()
    work.adapted.extend((segment, adapter))
    assert "adapted" in executor.execute(work).error


def test_a_driver_with_a_bad_adapter_does_not_start(folder: Path) -> None:
    with pytest.raises(BadModel, match="missing"):
        open_tiny(folder, folder / "tiny", "missing")


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_adapters_work_on_compiled_kernels_too(folder: Path, kernels_folder: Path, precision: str) -> None:
    """With an adapter a pass goes product by product: the same numbers, and the change on top."""
    write_tiny_adapter(folder / "nothing", TinyAdapter(strength=0.0))
    named = tuple((name, str(folder / name)) for name in ("nothing", "all"))
    model = ModelStore(folder / "home").pull(str(folder / "tiny"), NoProgress(), "tiny")
    executor = ModelExecutor(model, replace(
        SETTINGS, adapters=named, precision=precision, kernels="auto", kernels_folder=str(kernels_folder)
    ))  # fmt: skip
    (base,), (nothing,) = run(executor, [None]), run(executor, [0])
    assert_close(nothing, base)
    mixed = run(executor, [None, 1])
    assert_close(mixed[0], base)
    assert mixed[1][0].chosen != pytest.approx(base[0].chosen, abs=1e-2)
