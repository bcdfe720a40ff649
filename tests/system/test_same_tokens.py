"""The main promise: greedy text is the model's own, whoever else is running."""

import asyncio
import json
from dataclasses import dataclass

import pytest
import torch
from transformers import AutoModelForCausalLM
from whole import GREEDY, Whole

from pie.models import DEFAULT_MODEL

TOKENS = 32
TIE = 1e-3
"""Two best log-probabilities that lie closer than this may change places."""
PROMPTS = (
    "Once upon a time, in a village by the sea,",
    "The three most important rules of chess are",
    "def fibonacci(n):\n    ",
    "Water boils at",
    "Dear Sir or Madam,\n\nI am writing to",
    "The mitochondria is",
    "To make a good loaf of bread, you first",
    "In 1969, the Apollo 11 mission",
    "Q: What is the largest planet?\nA:",
    "import numpy as np\n\nx = np.",
    "The old clock on the wall had stopped",
    "Photosynthesis turns light into",
    "My favourite season is autumn because",
    "A list of colours: red, green,",
    "She opened the letter and read:",
    "<|im_start|>user\nName a fruit.<|im_end|>\n<|im_start|>assistant\n",
    "The difference between a virus and a bacterium is that",
    "SELECT name FROM users WHERE",
    "Il était une fois",
    "The train to Berlin leaves at",
)
STRANGER = "Stranger number {} says: the best thing about {} {} is that"


@dataclass(frozen=True)
class Text:
    prompt: list[int]
    tokens: list[int]


async def complete(whole: Whole, prompt: str, tokens: int = TOKENS) -> Text:
    result = await whole.result(GREEDY, "--prompt", prompt, "--max-tokens", str(tokens))
    return Text(**json.loads(result))


def check(oracle: torch.nn.Module, text: Text) -> None:
    """Each token is the oracle's best one after those before it."""
    with torch.inference_mode():
        logits = oracle(torch.tensor([text.prompt + text.tokens])).logits[0]
    scores = logits.float().log_softmax(-1)[len(text.prompt) - 1 : -1]
    for step, (token, row) in enumerate(zip(text.tokens, scores, strict=True)):
        assert row.max() - row[token] <= TIE, (step, token, int(row.argmax()))


@pytest.fixture(scope="module")
def oracle(running: Whole) -> torch.nn.Module:
    """transformers' own reading of the same file, dequantised to fp32."""
    weights = running.stack.store.get(DEFAULT_MODEL).weight_paths[0]
    model = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    return model.eval()


async def test_twenty_greedy_continuations_are_those_of_transformers(
    whole: Whole, oracle: torch.nn.Module
) -> None:
    texts = [await complete(whole, prompt) for prompt in PROMPTS]
    assert len(texts) == 20
    for text in texts:
        assert len(text.tokens) == TOKENS
        check(oracle, text)


async def test_they_stay_the_same_in_a_batch_of_which_31_are_strangers(
    whole: Whole, oracle: torch.nn.Module
) -> None:
    strangers = [STRANGER.format(n, n * "very ", "tea") for n in range(32 - len(PROMPTS))]
    for text in await asyncio.gather(*(complete(whole, prompt) for prompt in (*PROMPTS, *strangers))):
        check(oracle, text)


async def test_256_programs_at_once_give_what_each_gives_alone(whole: Whole) -> None:
    prompts = [PROMPTS[n % len(PROMPTS)] for n in range(256)]
    alone = {prompt: await complete(whole, prompt, 2) for prompt in PROMPTS}
    together = await asyncio.gather(*(complete(whole, prompt, 2) for prompt in prompts))
    assert together == [alone[prompt] for prompt in prompts]
