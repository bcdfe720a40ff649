"""The Triton kernel, without a GPU in Triton's interpreter, against plain torch on the same pages."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gpu_here import GPU
from numpy.typing import NDArray

from pie.inference.attention import Attention
from pie.inference.columns import columns_of
from pie.inference.devices import TorchDevice
from pie.inference.storage import PageStorage
from pie.inference.torch_attention import TorchAttention
from pie.inference.visibility import View, look
from pie.inference.window import with_window
from pie.models.tiny import TINY
from pie.testing.passes import PassBuilder

pytest.importorskip("triton", reason="Triton is not installed: the kernel for GPUs cannot be interpreted")
from pie.inference.triton_attention import TritonAttention

PAGES = 12


class Case:
    """Pages at random, some tokens hidden or not written, and a pass at random over them."""

    def __init__(self, seed: int, heads: int, kv_heads: int, head_dim: int, page_size: int) -> None:
        self.random = np.random.default_rng(seed)
        self.heads, self.size = heads, page_size
        config = replace(TINY, layers=2, heads=heads, kv_heads=kv_heads, head_dim=head_dim)
        self.pages = PageStorage(config, PAGES, page_size, 128, "fp32", TorchDevice(GPU))
        numbers = torch.randn(self.pages.cells.shape, generator=torch.Generator().manual_seed(seed))
        self.pages.cells.copy_(numbers)
        self.pages.cells[PAGES] = 0.0  # for padding, in torch
        slots = PAGES * page_size
        written = self.random.random(slots) < 0.8
        written[:page_size] = False  # an empty page
        self.pages.positions[:] = np.where(written, self.random.integers(0, 50, slots), -1)
        self.pages.visible[:] = self.random.random(slots) < 0.8

    def view(self, lengths: list[int], window: int = 0, masks: bool = True) -> View:
        """Of segments of those lengths."""
        builder, first = PassBuilder(), 0
        for count in lengths:
            read = self.random.permutation(PAGES)[: self.random.integers(0, 6)].tolist()
            bits = self.random.random((count, len(read) * self.size + count)) < 0.5
            masked = masks and self.random.random() < 0.5
            builder.forward(range(first, first + count), read, mask=list(map(runs, bits)) if masked else None)
            first += count
        positions = self.random.integers(0, 60, first).astype(np.int32)
        view = look(columns_of(builder.build()), positions, self.pages)
        return with_window(view, self.pages, window)

    def attended(self, attention: Attention, view: View, windowed: bool = False) -> torch.Tensor:
        """Of the second layer; queries are part of a wider tensor, as in the model."""
        width = self.heads * self.pages.head_dim
        generator = torch.Generator().manual_seed(5)
        numbers = torch.randn(len(view.places), 2 * width, generator=generator).to(GPU)
        own = numbers[:, width : width + self.pages.kv_heads * self.pages.head_dim]
        attention.begin(view)
        attention.store(1, own, own * 2)
        found: torch.Tensor = attention.attend(1, numbers[:, :width], windowed)
        return found

    def check(self, view: View, windowed: bool = False) -> None:
        ours = self.attended(TritonAttention(self.pages, self.heads), view, windowed)
        theirs = self.attended(TorchAttention(self.pages, self.heads), view, windowed)
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


def runs(bits: NDArray[np.bool_]) -> list[int]:
    """Hidden and visible in turns, as passes have them."""
    edges = np.flatnonzero(np.diff(bits, prepend=False, append=False))
    return np.diff(edges, prepend=0).tolist()


SHAPES = [(2, 2, 16, 8), (6, 2, 20, 16), (9, 3, 64, 8), (5, 1, 48, 32), (3, 3, 7, 8)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_segments_of_every_kind_see_what_they_see_in_torch(shape: tuple[int, int, int, int]) -> None:
    case = Case(sum(shape), *shape)
    case.check(case.view([1, 5, 1, 1, 17, 2]))


def test_rows_without_blocks_and_blocks_without_rows_are_one_launch_each() -> None:
    case = Case(1, 6, 2, 24, 8)
    case.check(case.view([1, 1, 1]))
    case.check(case.view([2, 3]))


def test_a_long_segment_is_cut_into_tiles_that_end_where_nobody_sees_more() -> None:
    case = Case(2, 9, 3, 64, 16)
    case.check(case.view([70], masks=False))


@pytest.mark.parametrize("seed", range(3))
def test_layers_with_a_window_see_less(seed: int) -> None:
    case = Case(seed, 4, 2, 16, 8)
    view = case.view([1, 4, 1, 9], window=12)
    assert view.windowed is not None
    case.check(view)
    case.check(view, windowed=True)


def test_without_anything_past_the_window_windowed_layers_see_the_same() -> None:
    case = Case(3, 4, 2, 16, 8)
    case.check(case.view([1, 4], window=1000), windowed=True)


def test_an_input_that_sees_nothing_gets_zeros() -> None:
    case = Case(4, 4, 2, 16, 8)
    builder = PassBuilder().forward([0], [1], mask=[[9]]).forward([1, 2], [1], mask=[[10], [0, 9, 1]])
    view = look(columns_of(builder.build()), np.array([5, 6, 7], np.int32), case.pages)
    found = case.attended(TritonAttention(case.pages, 4), view)
    assert not found[:2].any()
    assert found[2].any()


def test_the_kernel_compiles_to_machine_code_that_fits_any_gpu_since_2020(tmp_path: Path) -> None:
    """No GPU is needed to compile. 99 KiB of shared memory is what the smallest of them have."""
    kernels = "64 3 rows tf32 80  256 4 masked tf32 90"
    script = Path(__file__).with_name("machine_code.py")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script), *kernels.split()],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(0 < int(line) <= 99 * 1024 for line in done.stdout.split())
    assert len(done.stdout.split()) == 2
