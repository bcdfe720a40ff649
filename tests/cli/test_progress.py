"""Long steps are notes where there is no terminal, and bars that leave nothing behind where there is one."""

import io

from rich.console import Console

from pie.cli.progress import BarProgress


def test_without_a_terminal_each_step_is_a_line() -> None:
    out = io.StringIO()
    console = Console(file=out)
    with BarProgress("Starting", console) as progress, progress.start("Reading [weights]", 10) as step:
        step.advance(10)
    assert out.getvalue() == "Reading [weights] ...\n"


def test_on_a_terminal_the_bars_go_away_at_the_end() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with BarProgress("Starting", console) as progress:
        with progress.start("Fetching", 10) as step:
            step.advance(3)
        unfinished = progress.start("Endless")
        unfinished.advance()
    assert "Starting" in out.getvalue()
    assert "Fetching" in out.getvalue()
    assert out.getvalue().endswith("\x1b[2K")


def test_the_console_is_standard_error() -> None:
    assert BarProgress()._console.stderr
