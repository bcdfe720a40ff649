"""How long work tells how far it is. The command line shows bars; everybody else ignores it."""

from typing import Protocol, Self


class Step(Protocol):
    """One piece of long work; a context manager that finishes itself."""

    def advance(self, amount: int = 1) -> None: ...

    def finish(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Progress(Protocol):
    """Several steps may be open at once, from several threads."""

    def start(self, label: str, total: int | None = None) -> Step:
        """Begins a step of `total` units (bytes, tensors, ...), or of unknown length."""
        ...


class NoStep:
    def advance(self, amount: int = 1) -> None:
        del amount

    def finish(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class NoProgress:
    def start(self, label: str, total: int | None = None) -> Step:
        del label, total
        return NoStep()
