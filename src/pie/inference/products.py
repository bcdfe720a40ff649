"""A product of weights and activations, in plain torch: one class for each form of the weights.

Activations lie feature by feature, [features, inputs], as in `llama.py`; strides do not matter.
"""

from typing import Protocol

import torch

ZERO_POINT = 128
MOST = 127
DIGIT = 254


class Product(Protocol):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[in, inputs] to [out, inputs], new memory."""
        ...

    def add(self, x: torch.Tensor, to: torch.Tensor) -> None:
        """Adds the product to `to`."""
        ...


class FullProduct:
    """fp32. With the weights on the left the matrix library is 2 to 3 times as fast for 3 to 32 inputs."""

    def __init__(self, weight: torch.Tensor) -> None:
        self._weight = weight

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mm(self._weight, x)

    def add(self, x: torch.Tensor, to: torch.Tensor) -> None:
        to.addmm_(self._weight, x)


class BrainProduct:
    """bf16 weights and activations, summed in fp32 by the matrix library."""

    def __init__(self, weight: torch.Tensor) -> None:
        self._weight = weight

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mm(self._weight, x.bfloat16()).float()

    def add(self, x: torch.Tensor, to: torch.Tensor) -> None:
        to.add_(self(x))


class RowProduct:
    """int8 x int8 through oneDNN: one scale for each row of the weights and each input.

    Such activations alone cost 3 % perplexity, because of a few outliers in each token. So they go in two
    digits, x = s (q + r / 254): twice the work, and a thousandth of perplexity. Activations are unsigned with
    a zero point of 128; with signed ones oneDNN falls to a reference loop, 500 times slower.
    """

    def __init__(self, numbers: torch.Tensor, scales: torch.Tensor) -> None:
        self._weight = torch.ops.onednn.qlinear_prepack(numbers.contiguous(), [32, numbers.shape[1]])
        self._scales = scales
        self._zeros = torch.zeros(len(scales), dtype=torch.int32)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        inputs = x.t()
        scale = inputs.abs().amax(1, keepdim=True).mul_(1 / MOST).clamp_min_(1e-30)
        exact = inputs / scale
        high = exact.round()
        low = exact.sub_(high).mul_(DIGIT).round_()
        digits = torch.cat((high, low)).add_(ZERO_POINT).to(torch.uint8)
        first, second = self._multiply(digits).chunk(2)
        return first.add_(second, alpha=1 / DIGIT).mul_(scale).t()

    def add(self, x: torch.Tensor, to: torch.Tensor) -> None:
        to.add_(self(x))

    def _multiply(self, digits: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            digits, 1.0, ZERO_POINT, self._weight, self._scales, self._zeros,
            None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return product


def has_fast_int8() -> bool:
    """Can oneDNN multiply int8 here with the processor's own instructions?"""
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_vnni") or known.get("avx_vnni") or known.get("amx_int8"))
