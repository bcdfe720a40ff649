"""Where the Triton kernel is tested. To be imported before the kernel is."""

import os

import torch

GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""Without a GPU the processor, with Triton's interpreter."""
if GPU.type == "cpu":
    os.environ.setdefault("TRITON_INTERPRET", "1")
