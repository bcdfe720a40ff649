"""Before anything imports Triton, transformers included: without a GPU its kernels are interpreted."""

import os
import shutil

if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")
