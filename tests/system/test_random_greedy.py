"""Random greedy programs in the sandbox, on the default model, find what a dense transformers run finds."""

import asyncio
import json

import pytest
import torch
from greedy_programs import worst_miss, write_program
from transformers import AutoModelForCausalLM
from whole import Whole

from pie.models import DEFAULT_MODEL

TIE = 1e-3
"""Two best log-probabilities that lie closer than this may change places."""
STEPS = 40
VOCABULARY = 20_000
"""Tokens of the random prompts: the more frequent ones."""
MACHINE = """
import json

from inferlet import raw

OUT = 99


async def main(operations: str):
    model = raw.available_models()[0].name
    queue = raw.create_queue(model)
    raw.alloc_emb(queue, range(OUT + 1))
    branches, found = [0], []
    for name, *values in json.loads(operations):
        if name == "alloc":
            raw.alloc_kvpage(queue, values[0])
        elif name == "free":
            raw.dealloc_kvpage(queue, values[0])
        elif name == "fork":
            raw.fork_kvpage(queue, *values)
        elif name == "copy":
            raw.copy_kvpage(queue, *values)
        elif name == "mask":
            raw.mask_kvpage(queue, *values)
        elif name == "branch":
            branches.append(branches[values[0]])
        else:
            branch, tokens, positions, ikv, okv, offset, mask = values
            inputs = [branches[branch]] if tokens is None else tokens
            embs = list(range(len(inputs)))
            raw.embed_txt(queue, inputs, positions, embs)
            raw.forward(queue, ikv, embs, okv, offset, [OUT], mask=mask)
            dist = await raw.get_next_dist(queue, OUT, 1)
            branches[branch] = dist.max_index()
            found.append(branches[branch])
    return found
"""


@pytest.fixture(scope="module")
def oracle(running: Whole) -> torch.nn.Module:
    weights = running.stack.store.get(DEFAULT_MODEL).weight_paths[0]
    model = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    return model.eval()


async def test_masks_drops_copies_and_forks_equal_the_dense_attention_mask(
    whole: Whole, oracle: torch.nn.Module
) -> None:
    programs = [write_program(seed, 16, VOCABULARY, STEPS) for seed in range(4)]
    texts = [json.dumps(program) for program in programs]
    found = await asyncio.gather(*(whole.result(MACHINE, "--operations", text) for text in texts))
    for program, tokens in zip(programs, map(json.loads, found), strict=True):
        assert len(tokens) > STEPS // 4
        assert worst_miss(oracle, program, tokens, 16) <= TIE
