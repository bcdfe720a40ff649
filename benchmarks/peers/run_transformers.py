"""transformers in fp32, one static batch, eager, last logits only: `run_transformers.py FOLDER`."""

import sys

import torch
import transformers
from lines import Arrivals, Lines, Prompts, serve
from transformers import AutoModelForCausalLM, DynamicCache

THREADS = 2


class Transformers:
    def __init__(self, path: str) -> None:
        torch.set_num_threads(THREADS)
        self.version = f"transformers {transformers.__version__}"
        load = AutoModelForCausalLM.from_pretrained
        self._model = load(path, dtype=torch.float32, attn_implementation="sdpa")

    @torch.inference_mode()
    def wave(self, prompts: Prompts, tokens: int, way: str) -> list[list[float]]:
        del way
        arrivals, cache = Arrivals(len(prompts)), DynamicCache()
        ids = torch.tensor(prompts)
        for _ in range(tokens):
            logits = self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            ids = logits[:, -1].argmax(-1, keepdim=True)
            for stream in range(len(prompts)):
                arrivals.add(stream)
        return arrivals.times

    @torch.inference_mode()
    def score(self, windows: Prompts, start: int) -> float | None:
        losses = []
        for window in windows:
            ids = torch.tensor([window])
            logprobs = self._model(ids).logits[0].log_softmax(-1)
            losses.append(-logprobs[:-1].gather(1, ids[0, 1:, None])[start:])
        return torch.cat(losses).mean().item()


if __name__ == "__main__":
    lines = Lines()
    serve(lines, Transformers(sys.argv[1]))
