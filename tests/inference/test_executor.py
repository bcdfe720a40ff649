"""What only the torch executor can get wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from pie.core.errors import Unavailable
from pie.core.passes import Pass
from pie.core.progress import NoProgress
from pie.inference.executor import ModelExecutor
from pie.inference.handlers import forward
from pie.inference.settings import InferenceSettings
from pie.models import ModelStore, StoredModel
from pie.models.tiny import write_tiny_llama
from pie.testing.passes import Answer, PassBuilder, answers

SETTINGS = InferenceSettings(page_size=8, pages=32, embs=256, threads=1, precision="fp32", kernels="torch")
OUT = 200


@pytest.fixture
def executor(tiny_model: StoredModel) -> ModelExecutor:
    return ModelExecutor(tiny_model, SETTINGS)


def prefill(tokens: list[int], page: int, number: int = 1) -> Pass:
    """Tokens of one page, the last one's distribution."""
    every = range(len(tokens))
    builder = PassBuilder(number).fresh(page).embed(tokens, every, every)
    builder.forward(every, [page], [page * 8 + i for i in every], {len(tokens) - 1: OUT})
    return builder.dist(OUT).build()


def answer(executor: ModelExecutor, work: Pass) -> Answer:
    result = executor.execute(work)
    assert result.error == ""
    return answers(work, result)[0]


def poisoned(folder: Path, value: float) -> StoredModel:
    """A model whose embedding of token 40 holds a bad number."""
    source = write_tiny_llama(folder / "bad") / "model.safetensors"
    tensors = load_file(source)
    tensors["model.embed_tokens.weight"][40, 0] = value
    save_file(tensors, source, metadata={"format": "pt"})
    return ModelStore(folder / "home").pull(str(source.parent), NoProgress())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_are_an_error_that_says_so(tmp_path: Path, value: float) -> None:
    executor = ModelExecutor(poisoned(tmp_path, value), SETTINGS)
    result = executor.execute(prefill([5, 6], 1))
    assert "not finite" in result.error
    assert not result.top_tokens


@pytest.mark.parametrize("field", ["precision", "device"])
def test_what_is_not_offered_is_refused(tiny_model: StoredModel, field: str) -> None:
    with pytest.raises(Unavailable, match=f"{field} 'quantum' is not offered"):
        ModelExecutor(tiny_model, replace(SETTINGS, **{field: "quantum"}))


def test_a_pass_that_breaks_off_has_spoilt_nothing(
    executor: ModelExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.execute(prefill([40, 80, 120], 1))
    peek = PassBuilder().embed([9], [3], [0]).forward([0], [1], outputs={0: OUT}).dist(OUT).build()
    before = answer(executor, peek)

    def breaks(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(forward.Forward, "_keep_outputs", breaks)
        over = PassBuilder().embed([7, 8], [1, 3], [0, 1]).forward([0, 1], [1], [9, 11]).build()
        assert "out of memory" in executor.execute(over).error
    assert answer(executor, peek) == before


def test_a_long_prompt_is_the_same_in_one_piece_and_in_many(tiny_model: StoredModel) -> None:
    """Longer than what attention takes at once."""
    tokens = [(7 * i) % 300 for i in range(400)]
    pages = list(range(50))
    executor = ModelExecutor(tiny_model, replace(SETTINGS, pages=50, embs=512))

    def run(first: int, last: int) -> Pass:
        slots = range(last - first)
        builder = PassBuilder().fresh(*(pages if first == 0 else []))
        builder.embed(tokens[first:last], range(first, last), slots)
        builder.forward(slots, pages, list(range(first, last)), {last - first - 1: 500})
        return builder.dist(500, tokens=[1, 2, 3]).build()

    whole = answer(executor, run(0, 400))
    for start in range(0, 400, 50):
        pieces = answer(executor, run(start, start + 50))
    assert whole.tokens == pieces.tokens
    assert whole.chosen == pytest.approx(pieces.chosen, abs=1e-4)


def test_an_idle_executor_touches_little_memory(tiny_model: StoredModel) -> None:
    """Two gigabytes of pages, promised but not taken."""
    before = resident_bytes()
    executor = ModelExecutor(tiny_model, replace(SETTINGS, pages=1_000_000))
    executor.execute(prefill([5, 6, 7], 999_999))
    assert resident_bytes() - before < 400 << 20


def resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096
