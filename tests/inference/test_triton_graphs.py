"""A whole model on the Triton kernel, with and without graphs, against plain torch.

Without a GPU the kernel runs in Triton's interpreter, and what takes the place of a graph calls again what
was captured: all but the capture itself is the real thing.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from gpu_here import GPU

from pie.core.passes import Pass
from pie.inference.engine import Engine, Opener
from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import ModelConfig, StoredModel
from pie.models.tiny import TINY
from pie.testing.passes import PassBuilder

pytest.importorskip("triton", reason="Triton is not installed: the kernel for GPUs cannot be interpreted")
from pie.inference.triton_attention import TritonAttention
from pie.inference.triton_graphs import SIZES, Captured, CudaCapture, GraphedLlama, size_for

SETTINGS = InferenceSettings(
    page_size=8,
    pages=8,
    embs=64,
    threads=1,
    precision="fp32",
    kernels="torch",
    device=GPU.type,
)
GEMMA = replace(
    TINY, architecture="gemma3", qk_norm=True, post_norms=True, activation="gelu_tanh",
    window=4, windowed_layers=(0,), window_rope_theta=100.0,
)  # fmt: skip
OUT = 40


def remember(run: Callable[[], torch.Tensor]) -> Captured:
    """In place of a graph: what to call."""
    out = run().clone()
    return Captured(lambda: out.copy_(run()), out)


class Recorded:
    """Counts captures and replays."""

    def __init__(self) -> None:
        self.captures = 0
        self.replays = 0

    def __call__(self, run: Callable[[], torch.Tensor]) -> Captured:
        self.captures += 1
        captured = (CudaCapture() if GPU.type == "cuda" else remember)(run)

        def replay() -> None:
            self.replays += 1
            captured.replay()

        return Captured(replay, captured.out)


@pytest.fixture
def capture() -> Recorded:
    return Recorded()


@pytest.fixture
def executors(
    make_model: Callable[[ModelConfig], StoredModel], monkeypatch: pytest.MonkeyPatch, capture: Recorded
) -> Callable[[ModelConfig], tuple[ModelExecutor, ModelExecutor, ModelExecutor]]:
    """The model on plain torch, on the kernel, and on the kernel with graphs."""
    open_plain = Opener.open

    def open_triton(opener: Opener) -> Engine:
        engine = open_plain(opener)
        return replace(engine, attention=TritonAttention(engine.pages, opener.config.heads))

    def open_graphed(opener: Opener) -> Engine:
        engine = open_triton(opener)
        weights = engine.model.weights
        return replace(
            engine, model=GraphedLlama(opener.config, weights, engine.pages, exact=True, capture=capture)
        )

    def make(config: ModelConfig) -> tuple[ModelExecutor, ModelExecutor, ModelExecutor]:
        model, found = make_model(config), []
        for opening in (open_plain, open_triton, open_graphed):
            monkeypatch.setattr(Opener, "open", opening)
            found.append(ModelExecutor(model, SETTINGS))
        return found[0], found[1], found[2]

    return make


def prefill(builder: PassBuilder, page: int, count: int, first: int) -> None:
    """The first tokens of a page."""
    slots = range(first, first + count)
    builder.fresh(page).embed([7 + slot for slot in slots], range(count), slots)
    builder.forward(slots, [page], [page * 8 + i for i in range(count)], {count - 1: OUT + first})


def decode(
    builder: PassBuilder, pages: list[int], position: int, slot: int, mask: list[list[int]] | None = None
) -> None:
    """One more token on the last of `pages`."""
    builder.embed([100 + position], [position], [slot])
    builder.forward([slot], pages, [pages[-1] * 8 + position % 8], {0: OUT + slot}, mask)


def program() -> list[Pass]:
    """Three prompts; then only decoding; then both; masked inputs and hidden tokens between."""
    work = [PassBuilder(number) for number in range(5)]
    prefill(work[0], 1, 5, 0)
    prefill(work[0], 2, 7, 10)
    decode(work[1], [1], 5, 0)
    decode(work[1], [2], 7, 1)
    work[1].fresh(3, 4).show(1, 0b1101)
    decode(work[2], [1], 6, 0)
    decode(work[2], [2, 3], 8, 1, [[1, 6, 9, 1]])
    decode(work[2], [4], 0, 2)
    decode(work[3], [2, 3], 9, 1)
    prefill(work[3], 5, 3, 10)
    decode(work[4], [2, 3], 10, 1)
    for builder in work:
        outputs = builder.build().outputs
        for slot in outputs[1::2]:
            builder.dist(slot, 3, range(320))
    return [builder.build() for builder in work]


def test_a_model_gives_the_same_on_the_kernel_and_in_graphs_as_in_plain_torch(
    executors: Callable[[ModelConfig], tuple[ModelExecutor, ModelExecutor, ModelExecutor]],
    capture: Recorded,
) -> None:
    plain, kernel, graphed = executors(GEMMA)
    for work in program():
        wanted = plain.execute(work)
        assert wanted.error == ""
        for executor in (kernel, graphed):
            found = executor.execute(work)
            assert found.error == ""
            np.testing.assert_allclose(found.chosen_logprobs, wanted.chosen_logprobs, atol=1e-4)
    kept = slice(0, SETTINGS.pages + 1)  # with the page of zeros, without scratch
    for executor in (kernel, graphed):
        torch.testing.assert_close(
            executor.engine.pages.cells[kept], plain.engine.pages.cells[kept], atol=1e-4, rtol=1e-4
        )
    assert (capture.captures, capture.replays) == (3, 3)  # for 2, 3 (in 4) and 1 inputs; prompts without


def test_a_pass_takes_the_smallest_graph_that_holds_its_inputs() -> None:
    assert [size_for(count) for count in (1, 2, 3, 9, 128)] == [1, 2, 4, 16, 128]
    assert size_for(SIZES[-1] + 1) is None


def test_what_sees_more_than_the_buffers_hold_runs_without_a_graph(
    executors: Callable[[ModelConfig], tuple[ModelExecutor, ModelExecutor, ModelExecutor]],
    capture: Recorded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pie.inference.triton_graphs.MOST_SLOTS", 6)
    *_, graphed = executors(TINY)
    first, second, *_ = program()
    assert graphed.execute(first).error == graphed.execute(second).error == ""
    assert capture.captures == 0
