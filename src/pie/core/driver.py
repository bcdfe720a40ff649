"""The wall between decisions and tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pie.core.passes import Pass, PassResult


@dataclass(frozen=True, slots=True)
class DriverSpec:
    """What a driver offers; fixed while it lives."""

    page_size: int
    pages: int
    embs: int
    vocabulary_size: int
    context_length: int
    precision: str
    device: str
    slots: int = 0
    """Token slots."""
    matchers: int = 0
    """Places in grammars, and `grammars`: how many different ones can be kept."""
    grammars: int = 0
    adapters: tuple[str, ...] = ()
    """Names of the LoRA adapters that are loaded."""
    host_pages: int = 0
    """Pages that can be kept in host memory while programs are suspended: places 0 and on."""
    disk_pages: int = 0
    """Those that can be kept on disk: the places after these."""
    page_bytes: int = 0
    """Memory of one key-value page."""


class Executor(Protocol):
    """Executes passes, one at a time, in the caller's thread. Every driver has one at its heart."""

    @property
    def spec(self) -> DriverSpec: ...

    def execute(self, work: Pass) -> PassResult:
        """Never raises for a fault of the model or the device: `PassResult.error` says it."""
        ...


class Driver(Protocol):
    """A device that executes passes in order and answers through the two callbacks given to `attach`.

    `lost` means that every pass in flight and everything in the pages is gone; `restored` that an empty
    driver with the same spec is ready again.
    """

    @property
    def spec(self) -> DriverSpec: ...

    def attach(
        self,
        done: Callable[[PassResult], None],
        lost: Callable[[str], None],
        restored: Callable[[], None],
    ) -> None: ...

    def submit(self, work: Pass) -> None:
        """Queues a pass; never blocks. Results come in the order of submission."""
        ...
