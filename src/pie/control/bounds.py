"""What the numbers in a command may be, and how to say that they are not."""

from collections.abc import Callable, Sequence
from typing import Any

from pie.control.addresses import AddressSpace
from pie.control.exports import Exports
from pie.control.leases import PageLease
from pie.control.settings import ControlSettings
from pie.control.work import Work
from pie.core.commands import Completion
from pie.core.driver import DriverSpec
from pie.core.errors import InvalidArgument


class Bounds:
    """Of one model."""

    def __init__(self, spec: DriverSpec, settings: ControlSettings, exports: Exports) -> None:
        self.spec = spec
        self.exports = exports
        self.settings = settings
        self.page_size = spec.page_size
        self.vocabulary = spec.vocabulary_size
        self.context = spec.context_length
        self.max_list = settings.max_list

    def check_length(self, call: str, values: Sequence[object]) -> None:
        if len(values) > self.max_list:
            raise InvalidArgument(f"{call}: a list of {len(values)}: at most {self.max_list} at once")

    def check_tokens(self, call: str, tokens: Sequence[int]) -> None:
        if tokens and (max(tokens) >= self.vocabulary or min(tokens) < 0):
            wrong = next(token for token in tokens if not 0 <= token < self.vocabulary)
            raise InvalidArgument(
                f"{call}: token {wrong} is not in the vocabulary: tokens are 0 to {self.vocabulary - 1}"
            )

    def check_adapter(self, call: str, adapter: str) -> None:
        """An empty name is none."""
        if adapter and adapter not in self.spec.adapters:
            there = ", ".join(self.spec.adapters) or "none"
            raise InvalidArgument(f"{call}: no adapter {adapter!r}; there are: {there}")

    def check_positions(self, call: str, positions: Sequence[int]) -> None:
        if positions and (max(positions) >= self.context or min(positions) < 0):
            wrong = next(position for position in positions if not 0 <= position < self.context)
            raise InvalidArgument(
                f"{call}: position {wrong} is outside the model's context of {self.context} tokens"
            )

    def check_writable(self, call: str, pages: Sequence[PageLease]) -> None:
        for page in pages:
            if page.origin is not None:
                raise InvalidArgument(
                    f"{call}: page {page.name} was imported from {page.origin.name!r} and is read-only: "
                    "fork_kvpage it and write to the fork"
                )


Check = Callable[[Bounds, AddressSpace, Any, Completion | None], Work | None]
"""Turns a command into the work to queue; None where it is done already (names allocated, empty lists).
A failed check changes nothing."""
