"""A sparse pattern without the checks, and without the notice that torch prints for the first one."""

import warnings

import torch


def csr(
    offsets: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Compressed rows; `offsets` and `columns` int32. The caller vouches for their being in range."""
    return torch.sparse_csr_tensor(offsets, columns, values, size, check_invariants=False)


def silence_notice() -> None:
    """torch says once per process that these tensors are in beta; we use two operations on them, tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        nothing = torch.zeros(1, dtype=torch.int32)
        csr(nothing, nothing[:0], torch.ones(0), (0, 1))
