"""Long work, shown: bars on a terminal, one line a step elsewhere. Always on standard error."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from pie.core.progress import Step


class BarStep:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: int = 1) -> None:
        self._bars.advance(self._task, amount)

    def finish(self) -> None:
        """A finished step is full, whether or not its total was guessed right."""
        task = self._bars.tasks[self._bars.task_ids.index(self._task)]
        total = task.total or task.completed or 1
        self._bars.update(self._task, total=total, completed=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            self.finish()


class BarProgress:
    """Implements `pie.core.progress.Progress`; a context manager that owns the part of the screen."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def start(self, label: str, total: int | None = None) -> Step:
        if not self._console.is_terminal:
            self._console.print(f"{label} ...", markup=False, highlight=False)
        return BarStep(self._bars, self._bars.add_task(label, total=total))

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()
