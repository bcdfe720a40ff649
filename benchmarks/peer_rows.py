"""Which engines `peers.py` measures, and in which settings."""

import sys
from dataclasses import dataclass
from pathlib import Path

from harness import ROOT

FOLDER = ROOT / "benchmarks" / "peers"
ENVS = FOLDER / ".env"
MODELS = ENVS / "models"
SETUP = "benchmarks/peers/setup.sh"
HAS_AMX = "amx_int8" in Path("/proc/cpuinfo").read_text()
"""With it, vLLM's int8 products take bf16 activations only, and its bf16 products are fast."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A process that answers in lines (`peers/lines.py`). `peer` is its environment; empty: Pie itself."""

    name: str
    peer: str
    args: tuple[str, ...]
    precision: str
    """Of its products: `4-bit`, `int8` or `fp32`; the same word, the same kind of arithmetic."""
    start_seconds: float = 120.0

    @property
    def python(self) -> str:
        return str(ENVS / self.peer / "bin" / "python") if self.peer else sys.executable

    @property
    def script(self) -> Path:
        return FOLDER / f"run_{self.peer or 'pie'}.py"

    @property
    def missing(self) -> str:
        """What is not set up; empty if nothing."""
        if not self.peer:
            return ""
        wanted = (ENVS / self.peer / ".ready", *(path for path in map(Path, self.args) if path.is_absolute()))
        gone = [path for path in wanted if not path.exists()]
        return f"{gone[0].relative_to(ROOT)} is not there: run `{SETUP} {self.peer}`" if gone else ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the tables: an engine and the way in which it is asked for tokens."""

    engine: Engine
    way: str = "stream"
    streams: tuple[int, ...] = (1, 8, 32)

    @property
    def name(self) -> str:
        return self.engine.name if self.way == "stream" else f"{self.engine.name}, {self.way}"


def model(name: str) -> tuple[str, ...]:
    return (str(MODELS / name),)


PIE = Engine("Pie, auto", "", ("auto",), "4-bit")
PIE_INT8 = Engine("Pie, int8", "", ("int8",), "int8")
PIE_FP32 = Engine("Pie, fp32", "", ("fp32",), "fp32")
OPENVINO = Engine("OpenVINO GenAI, Q8_0", "openvino", model("q8_0.gguf"), "int8")
OPENVINO_4 = Engine("OpenVINO GenAI, Q4_1", "openvino", model("q4_1.gguf"), "4-bit")
LLAMA_8 = Engine("llama.cpp, Q8_0", "llamacpp", model("q8_0.gguf"), "int8")
LLAMA_41 = Engine("llama.cpp, Q4_1", "llamacpp", model("q4_1.gguf"), "4-bit")
LLAMA_40 = Engine("llama.cpp, Q4_0", "llamacpp", model("q4_0.gguf"), "4-bit")
VLLM_8 = Engine("vLLM, int8", "vllm", (*model("w8a8"), "bfloat16" if HAS_AMX else "float32"), "int8", 240.0)
VLLM_16 = Engine("vLLM, bf16", "vllm", (*model("fp32"), "bfloat16"), "bf16", 240.0)
VLLM_32 = Engine("vLLM, fp32", "vllm", (*model("fp32"), "float32"), "fp32", 240.0)
TRANSFORMERS = Engine("transformers, fp32", "transformers", model("fp32"), "fp32", 90.0)

QUICK = (Row(PIE), Row(OPENVINO), Row(LLAMA_8), Row(LLAMA_41, streams=(1,)))
FULL = (
    Row(PIE),
    Row(OPENVINO),
    Row(LLAMA_8),
    Row(PIE_INT8),
    Row(VLLM_8),
    Row(LLAMA_41, streams=(1,)),
    Row(PIE, "each token", (1, 8, 32)),
    Row(OPENVINO_4),
    Row(LLAMA_40, streams=(1, 8)),
    Row(PIE, "generate", (8, 32)),
    Row(PIE_FP32),
    Row(VLLM_32),
    Row(VLLM_16),
    Row(TRANSFORMERS, streams=(1, 8)),
)
"""An order in which Pie's rows stand between the others'. llama.cpp's 4-bit models and transformers are far
behind with many streams and left out there: they alone would take as long as all others together."""
