"""Long work, shown: bars on a terminal, one line a step elsewhere. Always on standard error."""

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from pie.core.progress import Step


class BarStep:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: int = 1) -> None:
        self._bars.advance(self._task, amount)

    def finish(self) -> None:
        """A finished step is full, whether or not its total was guessed right."""
        task = next(task for task in self._bars.tasks if task.id == self._task)
        total = task.total or task.completed or 1
        self._bars.update(self._task, total=total, completed=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            self.finish()


class NoteStep:
    """Says when it began and, if that took long, how long it took."""

    def __init__(self, console: Console, label: str) -> None:
        self._console = console
        self._label = label
        self._began = time.monotonic()
        self._finished = False
        note(console, f"{label} ...")

    def advance(self, amount: int = 1) -> None:
        del amount

    def finish(self) -> None:
        seconds = time.monotonic() - self._began
        if not self._finished and seconds > 1:
            note(self._console, f"{self._label}: {seconds:.0f} s")
        self._finished = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            self.finish()


def note(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class BarProgress:
    """Implements `pie.core.progress.Progress`; a context manager that owns the part of the screen.

    The bars go away at the end: what stays on the screen is the program's. `label` names the whole, so that a
    terminal shows something before the first step begins.
    """

    def __init__(self, label: str = "", console: Console | None = None) -> None:
        self._label = label
        self._console = console or Console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )

    def start(self, label: str, total: int | None = None) -> Step:
        if not self._console.is_terminal:
            return NoteStep(self._console, label)
        return BarStep(self._bars, self._bars.add_task(label, total=total))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            if self._label:
                self._bars.add_task(self._label, total=None)
            self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._console.is_terminal:
            self._bars.stop()
