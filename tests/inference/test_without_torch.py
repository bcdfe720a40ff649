"""A driver whose model runs on the compiled kernels never loads torch: not to start, and not to work."""

import subprocess
import sys
from pathlib import Path

from pie.inference.kernels.library import Kernels
from pie.models import StoredModel

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from pie.core.commands import SamplingSpec
from pie.core.passes import Pass
from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import open_model
from pie.testing.passes import PassBuilder

folder, kernels = sys.argv[1:]
settings = InferenceSettings(page_size=8, pages=8, host_pages=4, embs=64, precision="int8")
executor = ModelExecutor(open_model(Path(folder)), replace(settings, kernels_folder=kernels))
drawn = SamplingSpec(temperature=1.0, seed=5, repetition_penalty=1.1, seen=(3, 4))
prompt = PassBuilder().fresh(1).embed([5, 6, 7], range(3), range(3))
prompt.forward(range(3), [1], [8, 9, 10], {2: 40})
decode = PassBuilder().embed([8], [3], [0]).forward([0], [1], [11], {0: 40})
decode.dist(40, 5, [1, 2]).dist(40, 1).dist(40, 0).score(40, 7)
decode.sample(40, 3, SamplingSpec()).sample(40, 4, drawn)
masked = PassBuilder().copy(1, 0, 2, 3, 4).show(1, 5).embed_slot([3], [4], [1])
masked.forward([1], [1, 2], [], {0: 41}, [[8, 3, 6]]).grammar(0, "regex", "a+", 0)
masked.sample(41, 5, SamplingSpec(), 0)
moved = PassBuilder().swap_out(1, 0).swap_in(0, 2)
for builder in (prompt, decode, masked, moved):
    result = executor.execute(builder.build())
    assert result.error == "", result.error
print(*(name for name in sys.modules if name.partition(".")[0] == "torch"))
"""


def test_no_pass_of_an_ordinary_program_loads_torch(
    tiny_model: StoredModel, kernels: Kernels, kernels_folder: Path
) -> None:
    del kernels  # they are built
    command = [sys.executable, "-c", SCRIPT, str(tiny_model.folder), str(kernels_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
