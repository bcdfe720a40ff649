"""OpenVINO GenAI, continuous batching with prefix caching, in this process: `run_openvino.py FILE.gguf`.

The library has no server; a loop here steps its pipeline and notes the time of each token.
"""

import sys
from typing import Any

import numpy as np
import openvino
import openvino_genai
from lines import Arrivals, Lines, Prompts, Tokens, serve
from openvino_genai import ContinuousBatchingPipeline, GenerationConfig, SchedulerConfig

THREADS = 2
CACHE_GB = 1


class OpenVino:
    def __init__(self, path: str) -> None:
        self.version = f"openvino-genai {openvino_genai.__version__}"
        scheduler = SchedulerConfig()
        scheduler.cache_size = CACHE_GB
        scheduler.enable_prefix_caching = True
        scheduler.max_num_batched_tokens = 2048
        scheduler.max_num_seqs = 64
        properties = {"INFERENCE_NUM_THREADS": THREADS}
        self._pipeline = ContinuousBatchingPipeline(path, scheduler, "CPU", properties)
        self._requests = 0

    def wave(self, prompts: Prompts, tokens: int, way: str) -> list[list[float]]:
        del way
        config = GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False)
        arrivals = Arrivals(len(prompts))
        handles = [self._add(prompt, config) for prompt in prompts]
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            for stream, handle in enumerate(handles):
                while handle.can_read():
                    (found,) = handle.read().values()
                    arrivals.add(stream, len(found.generated_ids))
        return arrivals.times

    def _add(self, prompt: Tokens, config: GenerationConfig) -> Any:
        self._requests += 1
        ids = openvino.Tensor(np.array([prompt], dtype=np.int64))
        return self._pipeline.add_request(self._requests, ids, config)

    def score(self, windows: Prompts, start: int) -> float | None:
        """From the log-probabilities of an echoed prompt."""
        losses: list[float] = []
        for window in windows:
            losses += self._losses(window)[start:]
        return sum(losses) / len(losses)

    def _losses(self, window: Tokens) -> list[float]:
        config = GenerationConfig(max_new_tokens=1, ignore_eos=True, do_sample=False, echo=True, logprobs=1)
        handle = self._add(window, config)
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        (found,) = handle.read_all()
        return [-value for value in found.generated_log_probs]


if __name__ == "__main__":
    lines = Lines()
    serve(lines, OpenVino(sys.argv[1]))
