"""vLLM's engine with prefix caching, stepped here: `run_vllm.py FOLDER DTYPE`. Compiles at its start."""

import os
import sys

THREADS = 2
os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # no process in between
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_CPU_OMP_THREADS_BIND": f"0-{THREADS - 1}",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}

import vllm  # noqa: E402 (it reads the variables above when it is imported)
from lines import Arrivals, Lines, Prompts, Tokens, serve  # noqa: E402
from vllm import LLM, SamplingParams  # noqa: E402


class Vllm:
    def __init__(self, path: str, dtype: str) -> None:
        self.version = f"vllm {vllm.__version__}"
        self._model = LLM(path, dtype=dtype, max_model_len=2048, max_num_seqs=64, enable_prefix_caching=True)
        self._engine = self._model.llm_engine
        self._requests = 0

    def wave(self, prompts: Prompts, tokens: int, way: str) -> list[list[float]]:
        del way
        wanted = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False)
        arrivals, streams = Arrivals(len(prompts)), {}
        for number, prompt in enumerate(prompts):
            streams[self._add(prompt, wanted)] = number
        while self._engine.has_unfinished_requests():
            for output in self._engine.step():
                stream = streams[output.request_id]
                arrivals.add(stream, len(output.outputs[0].token_ids) - len(arrivals.times[stream]))
        return arrivals.times

    def _add(self, prompt: Tokens, wanted: SamplingParams) -> str:
        self._requests += 1
        name = str(self._requests)
        self._engine.add_request(name, {"prompt_token_ids": list(prompt)}, wanted)
        return name

    def score(self, windows: Prompts, start: int) -> float | None:
        wanted = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        asked = [{"prompt_token_ids": list(window)} for window in windows]
        losses: list[float] = []
        for window, output in zip(windows, self._model.generate(asked, wanted, use_tqdm=False), strict=True):
            found = zip(window[start + 1 :], output.prompt_logprobs[start + 1 :], strict=True)
            losses += [-logprobs[token].logprob for token, logprobs in found]
        return sum(losses) / len(losses)


if __name__ == "__main__":
    lines = Lines()
    serve(lines, Vllm(*sys.argv[1:]))
