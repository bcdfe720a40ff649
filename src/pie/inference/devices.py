"""Devices on which torch computes, and the way back of numbers.

`python -m pie.inference.devices NAME` says what a device is, or why it cannot be used (exit code 1); for
`pie doctor`, which does not load torch itself.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pie.core.errors import OutOfResources, Unavailable
from pie.inference.device import Device

CPU = torch.device("cpu")
FORM = re.compile(r"cpu|cuda(:\d+)?")
TORCH: Mapping[type[np.generic], torch.dtype] = {
    np.float32: torch.float32,
    np.int32: torch.int32,
    np.uint8: torch.uint8,
    np.complex64: torch.complex64,
}
NUMPY: Mapping[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.int32: np.int32,
    torch.int64: np.int64,
}


class TorchDevice:
    """A `Device` on which torch computes, the processor included."""

    def __init__(self, place: torch.device, threads: int = 1) -> None:
        """`threads`: of the processor."""
        torch.set_num_threads(threads)
        self.place = place

    def zeros(self, *shape: int, dtype: type[np.generic] = np.float32) -> torch.Tensor:
        if self.place.type == "cpu":  # the system's zeros take memory only once they are touched
            return torch.from_numpy(np.zeros(shape, dtype))
        return torch.zeros(shape, dtype=TORCH[dtype], device=self.place)

    def sent(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.place)

    def fetched(self, *arrays: torch.Tensor) -> list[NDArray[Any]]:
        return fetched(*arrays)

    def clone(self, array: torch.Tensor) -> torch.Tensor:
        return array.clone()

    @contextmanager
    def room(self) -> Iterator[None]:
        """Raises `OutOfResources` where memory runs out within."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise OutOfResources(
                f"no room on {self.place} for the model, its pages and embeddings: "
                "take fewer --pages (or PIE_EMBS)"
            ) from error

    @contextmanager
    def working(self) -> Iterator[None]:
        try:
            with torch.inference_mode():
                yield
                finish(self.place)
        except torch.AcceleratorError as error:
            raise SystemExit(f"the device {self.place} has failed: {error}") from error


def open_device(name: str, threads: int = 1) -> TorchDevice:
    """`cpu`, `cuda` (the first one) or `cuda:N`. Raises `Unavailable`, saying what to do."""
    if not FORM.fullmatch(name):
        raise Unavailable(f"device {name!r} is not offered; use cpu, cuda or cuda:N")
    if name == "cpu":
        return TorchDevice(CPU, threads)
    index = int(name.partition(":")[2] or 0)
    problem = cuda_problem(index)
    if problem:
        raise Unavailable(f"device {name!r} cannot be used: {problem}")
    torch.cuda.set_device(index)  # Triton and graphs work on the current one
    return TorchDevice(torch.device("cuda", index), threads)


def cuda_problem(index: int) -> str:
    """Why there is no such GPU; empty if there is one."""
    if torch.version.cuda is None:
        return (
            f"this torch has no CUDA: {torch.__version__}; install a build that has "
            "(https://pytorch.org/get-started/locally), or use cpu"
        )
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU; does nvidia-smi show one? Or use cpu"
    count = torch.cuda.device_count()
    return "" if index < count else f"this machine has {count}, counted from 0"


def describe(device: torch.device) -> str:
    """For people."""
    if device.type != "cuda":
        return device.type
    facts = torch.cuda.get_device_properties(device)
    return f"{device}: {facts.name}, {facts.total_memory / 2**30:.0f} GiB"


def fetched(*tensors: torch.Tensor) -> list[NDArray[Any]]:
    """The tensors as arrays, in one copy for all of them; on the processor they share their memory."""
    if all(tensor.is_cpu for tensor in tensors):
        return [tensor.numpy() for tensor in tensors]
    data = copied(torch.cat([tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors]))
    arrays: list[NDArray[Any]] = []
    start = 0
    for tensor in tensors:
        arrays.append(np.ndarray(tuple(tensor.shape), NUMPY[tensor.dtype], data.data, start).copy())
        start += math.prod(tensor.shape) * arrays[-1].itemsize
    return arrays


def tensor_on(device: Device, array: NDArray[Any]) -> torch.Tensor:
    """Also where the device itself computes in numpy."""
    return torch.as_tensor(device.sent(array))


def finish(device: torch.device) -> None:
    """Waits for a GPU: a pass's errors and its time are then its own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def copied(data: torch.Tensor) -> NDArray[np.uint8]:
    """Everything that comes back from a device comes through here."""
    found: NDArray[np.uint8] = data.cpu().numpy()
    return found


def main() -> int:
    try:
        print(describe(open_device(sys.argv[1]).place))
    except Unavailable as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
