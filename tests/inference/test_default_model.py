"""The default model, greedy, against transformers on the same weights dequantised to fp32."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from transformers import LlamaForCausalLM

from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import StoredModel, load_tokenizer
from pie.testing.passes import PassBuilder, answers

pytestmark = pytest.mark.model

LENGTH = 32
PAGES_EACH = 8
CLOSE = 1e-3
"""A difference counts only where the two best log-probabilities lie further apart."""
PROMPTS = (
    "Once upon a time", "The capital of France is", "def fibonacci(n):", "Water boils at", "1, 2, 3, 4,",
    "The quick brown fox", "In the year 1969,", "Dear Sir or Madam,", "The recipe needs two eggs and",
    "Photosynthesis is the process", "She opened the door and", "import numpy as np\n", "The largest planet",
    "To be or not to be,", "Q: What is 7 times 8?\nA:", "The mitochondria", "Breaking news:",
    "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n", "A haiku about rain:\n",
    "Once more unto the breach,", "Der Himmel ist", "SELECT name FROM", "My favourite book is",
    "Newton's laws", "The stock market", "Gold is a", "Mount Everest", "He said:", "Rivers flow",
    "A prime number", "The printing press", "Two trains leave",
)  # fmt: skip
COMPARED = 20


class Decoder:
    """Greedy decoding of several prompts in one batch, on raw passes."""

    def __init__(self, executor: ModelExecutor) -> None:
        self._executor = executor
        self._size = executor.spec.page_size

    def decode(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        texts = [list(prompt) for prompt in prompts]
        fed = [0] * len(texts)
        for _ in range(LENGTH):
            for text, token in zip(texts, self._step(texts, fed), strict=True):
                text.append(token)
        return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]

    def _step(self, texts: Sequence[list[int]], fed: list[int]) -> list[int]:
        builder = PassBuilder()
        for i, text in enumerate(texts):
            pages = range(i * PAGES_EACH, (i + 1) * PAGES_EACH)
            builder.fresh(*([] if fed[i] else pages))
            slots = range(100 * i, 100 * i + len(text) - fed[i])
            positions = range(fed[i], len(text))
            builder.embed(text[fed[i] :], positions, slots)
            targets = [pages[0] * self._size + position for position in positions]
            builder.forward(slots, pages, targets, {len(slots) - 1: slots[0]}).dist(slots[0], top_k=1)
            fed[i] = len(text)
        work = builder.build()
        return [answer.tokens[0] for answer in answers(work, self._executor.execute(work))]


@pytest.fixture(scope="module")
def decoder(default_model: StoredModel) -> Decoder:
    settings = InferenceSettings(pages=PAGES_EACH * len(PROMPTS), embs=4096, threads=1, precision="fp32")
    return Decoder(ModelExecutor(default_model, settings))


@pytest.fixture(scope="module")
def reference(default_model: StoredModel) -> LlamaForCausalLM:
    path = default_model.weight_paths[0]
    model = LlamaForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model.eval()


@pytest.fixture(scope="module")
def prompts(default_model: StoredModel) -> list[list[int]]:
    tokenizer = load_tokenizer(default_model)
    return [tokenizer.encode(prompt) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def batched(decoder: Decoder, prompts: list[list[int]]) -> list[list[int]]:
    """What 32 prompts give in one batch."""
    return decoder.decode(prompts)


def differences(model: LlamaForCausalLM, prompt: list[int], continuation: list[int]) -> Iterator[int]:
    """Where transformers, given all before it, would have continued otherwise."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + continuation])).logits[0, len(prompt) - 1 : -1]
    logprobs = logits.log_softmax(-1)
    for place, (token, row) in enumerate(zip(continuation, logprobs, strict=True)):
        if row.max() - row[token] > CLOSE:
            yield place


def test_greedy_tokens_among_strangers_are_those_of_transformers(
    reference: LlamaForCausalLM, prompts: list[list[int]], batched: list[list[int]]
) -> None:
    for prompt, continuation in zip(prompts[:COMPARED], batched, strict=False):
        assert list(differences(reference, prompt, continuation)) == []


def test_greedy_tokens_are_the_same_alone_and_among_strangers(
    decoder: Decoder, prompts: list[list[int]], batched: list[list[int]]
) -> None:
    for prompt, together in zip(prompts[:COMPARED:4], batched[::4], strict=False):
        assert decoder.decode([prompt]) == [together]
