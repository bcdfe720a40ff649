"""Where a driver's numbers lie, and what they are there: numpy's arrays, or torch's tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = Any
"""An array of numpy or a tensor of torch. What is done to one outside of models and attention means the same
for both: indexing, arithmetic, shapes."""


class Device(Protocol):
    def zeros(self, *shape: int, dtype: type[np.generic] = np.float32) -> Array: ...

    def sent(self, array: NDArray[Any]) -> Array:
        """The same numbers there; on the processor in the same memory."""
        ...

    def fetched(self, *arrays: Array) -> list[NDArray[Any]]:
        """The numbers, in one copy for all of them; on the processor in the same memory."""
        ...

    def clone(self, array: Array) -> Array: ...

    def room(self) -> "Room":
        """Within it, memory that runs out is `OutOfResources`."""
        ...

    def working(self) -> "Room":
        """For the time of a pass: on leaving it, everything has been computed. A device that has failed ends
        the process: nothing can be computed in it any more, and a new one is started."""
        ...


class Room(Protocol):
    """A context."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exc: Any) -> bool | None: ...


class Processor:
    """numpy, for models that the compiled kernels run: torch, whose import takes longer than the rest of a
    driver's start and more memory than the rest of its code, is not loaded at all."""

    def zeros(self, *shape: int, dtype: type[np.generic] = np.float32) -> NDArray[Any]:
        """They take memory once they are touched: an idle driver stays small, and what was never written is
        finite."""
        return np.zeros(shape, dtype)

    def sent(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def fetched(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        return list(arrays)

    def clone(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.copy()

    def room(self) -> Room:
        return nothing_special()

    def working(self) -> Room:
        return nothing_special()


@contextmanager
def nothing_special() -> Iterator[None]:
    yield
