"""The compiled kernels as Python sees them. The structs are those of `kernels.cpp`; sizes count numbers.

Everything here takes addresses: whoever calls keeps the arrays alive and vouches for what is in them.
"""

import ctypes
import importlib.util
from ctypes import POINTER, Structure, c_char_p, c_double, c_float, c_int, c_int32, c_void_p
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pie.inference.kernels.build import NoKernels

VERSION = 6
OPENMP = "libgomp.so.1"
BUNDLED = "lib/libgomp*.so*", "../torch.libs/libgomp*.so*"
"""Where builds of torch have one of their own."""


class Product(Structure):
    _fields_ = (
        ("data", c_void_p), ("rows", c_int32), ("columns", c_int32), ("bits", c_int32), ("unused", c_int32),
    )  # fmt: skip


class Products(Structure):
    _fields_ = (("qkv", Product), ("out", Product), ("gate_up", Product), ("down", Product))


class Layer(Structure):
    _fields_ = (
        ("attention_norm", c_void_p), ("mlp_norm", c_void_p), ("few", Products), ("many", Products),
        ("qkv_bias", c_void_p), ("q_norm", c_void_p), ("k_norm", c_void_p),
        ("attention_post_norm", c_void_p), ("mlp_post_norm", c_void_p),
        ("windowed", c_int32), ("turns", c_int32),
    )  # fmt: skip


class Heads(Structure):
    _fields_ = (("count", c_int32), ("kv_count", c_int32), ("head_dim", c_int32))


class Model(Structure):
    _fields_ = (
        ("layers", c_int32), ("hidden", c_int32), ("padded_hidden", c_int32), ("padded_inner", c_int32),
        ("padded_queries", c_int32), ("threads", c_int32), ("heads", Heads), ("norm_eps", c_float),
        ("layer", POINTER(Layer)), ("norm", c_void_p), ("head", Product),
        ("activation", c_int32), ("many", c_int32),
    )  # fmt: skip


class Pages(Structure):
    _fields_ = (
        ("cells", c_void_p), ("page_size", c_int32), ("kv_heads", c_int32), ("head_dim", c_int32),
        ("numbers", c_int32),
    )  # fmt: skip


class Block(Structure):
    _fields_ = (
        ("first", c_int32), ("last", c_int32), ("count", c_int32), ("unused", c_int32),
        ("slots", c_void_p), ("mask", c_void_p),
    )  # fmt: skip


class Known(Structure):
    """What is known about slots, and the segments of a pass that decodes."""

    _fields_ = (
        ("page_size", c_int32), ("segments", c_int32), ("scratch_slot", c_int32), ("unused", c_int32),
        ("slot_positions", c_void_p), ("visible", c_void_p),
        ("positions", c_void_p), ("targets", c_void_p), ("read_pages", c_void_p), ("read_starts", c_void_p),
    )  # fmt: skip


class View(Structure):
    _fields_ = (
        ("inputs", c_int32), ("rows", c_int32), ("blocks", c_int32), ("unused", c_int32),
        ("places", c_void_p), ("row_inputs", c_void_p), ("slots", c_void_p), ("starts", c_void_p),
        ("block", POINTER(Block)),
    )  # fmt: skip


ARGUMENTS = {
    "pie_version": (c_int,),
    "pie_instructions": (c_char_p,),
    "pie_count_threads": (c_int, c_int),
    "pie_open": (c_void_p, POINTER(Model), POINTER(Pages)),
    "pie_close": (None, c_void_p),
    "pie_times": (None, c_void_p, POINTER(c_double)),
    "pie_run": (None, c_void_p, POINTER(View), POINTER(View), c_void_p, c_void_p),
    "pie_look": (None, POINTER(Known), c_void_p, c_void_p, c_void_p),
    "pie_logits": (None, c_void_p, c_void_p, c_int, c_void_p),
    "pie_best": (None, c_void_p, c_void_p, c_int, c_int, c_void_p),
    "pie_attend": (None, POINTER(Heads), POINTER(Pages), POINTER(View), c_int, c_int, c_void_p, c_void_p),
    "pie_multiply": (None, POINTER(Product), c_int, c_void_p, c_int, c_void_p),
    "pie_statistics": (None, c_void_p, c_int, c_int, c_int, c_int, c_void_p),
    "pie_allow_only": (
        None,
        c_void_p,
        c_int,
        c_int,
        c_int,
        c_void_p,
        c_int,
        c_void_p,
        c_int,
        c_float,
    ),
    "pie_top": (None, c_void_p, c_int, c_int, c_int, c_int, c_int, c_void_p),
}
"""Result and arguments of each function."""


def address(array: NDArray[np.generic]) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def share_threads() -> None:
    """Loads the OpenMP that torch brings along, so that there is one pool of threads if torch is loaded
    later; where there is none, the system's. Raises `OSError`."""
    found = importlib.util.find_spec("torch")
    folders = [Path(place) for place in (found and found.submodule_search_locations) or ()]
    bundled = (path for folder in folders for part in BUNDLED for path in folder.glob(part))
    ctypes.CDLL(str(next(bundled, OPENMP)), ctypes.RTLD_GLOBAL)


class Kernels:
    """One loaded library, used with `threads` threads. Raises `NoKernels` for one that does not work here."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            share_threads()
            library = ctypes.CDLL(str(path))
        except OSError as error:  # another OpenMP than torch's, or none
            raise NoKernels(f"cannot load {path}: {error}") from error
        for name, (result, *arguments) in ARGUMENTS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self.threads = threads
        self.instructions: str = library.pie_instructions().decode()
        self.count_threads = library.pie_count_threads
        self.open = library.pie_open
        self.close = library.pie_close
        self.times = library.pie_times
        self.run = library.pie_run
        self.look = library.pie_look
        self.logits = library.pie_logits
        self.best = library.pie_best
        self.attend = library.pie_attend
        self.multiply = library.pie_multiply
        self.statistics = library.pie_statistics
        self.allow_only = library.pie_allow_only
        self.top = library.pie_top
        if library.pie_version() != VERSION:
            raise NoKernels(f"{path} is of another version")
