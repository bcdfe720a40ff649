"""Parts of the driver that need torch: they are loaded when they are needed, and torch without what it loads
for tensors that have no numbers, the third of its start that describes every operation to `torch.compile` and
the like, which nothing here uses on the processor."""

import importlib
import sys
from types import ModuleType
from typing import Any

DESCRIPTIONS = "torch._meta_registrations"


def torch_part(name: str) -> Any:
    """A module of this package that imports torch, which takes a second or two the first time."""
    return importlib.import_module(f"pie.inference.{name}")


def leave_out_descriptions() -> None:
    """To be called before the first import of torch."""
    if "torch" not in sys.modules:
        sys.modules[DESCRIPTIONS] = ModuleType(DESCRIPTIONS, "left out; see pie.inference.torch_parts")


def load_descriptions() -> None:
    """Makes up for it, where another device may need them."""
    left_out = sys.modules.get(DESCRIPTIONS)
    if left_out is not None and not hasattr(left_out, "__file__"):
        del sys.modules[DESCRIPTIONS]
        importlib.import_module(DESCRIPTIONS)
