"""Whatever goes wrong becomes one line and an exit code."""

import errno

import pytest

from pie.cli.failures import Interrupted, one_line_failures
from pie.core.errors import BadModel, InvalidArgument, NotFound, Unavailable


def ended_by(error: BaseException) -> int:
    with pytest.raises(SystemExit) as end, one_line_failures():
        raise error
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NotFound("no model x; fetch it"), 1, "pie: no model x; fetch it\n"),
        (Unavailable("no network"), 1, "pie: no network\n"),
        (BadModel("it is damaged; pull it again"), 1, "pie: it is damaged; pull it again\n"),
        (InvalidArgument("--port is a number"), 2, "pie: --port is a number\n"),
        (Interrupted(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_told_in_one_line_with_their_exit_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_by(error) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "the disk is full (/data/x): make room, or set PIE_HOME to a folder on another disk"),
        (errno.EDQUOT, "the disk is full (/data/x): make room, or set PIE_HOME to a folder on another disk"),
        (errno.EACCES, "no right to write (/data/x): set PIE_HOME to a folder of yours"),
        (errno.EROFS, "no right to write (/data/x): set PIE_HOME to a folder of yours"),
    ],
)
def test_a_full_or_forbidden_disk_says_what_to_do(
    number: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_by(OSError(number, "no", "/data/x")) == 1
    assert capsys.readouterr().err == f"pie: {told}\n"


def test_a_bug_is_one_line_too_and_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_by(ZeroDivisionError("a\nb")) == 1
    told = capsys.readouterr().err
    assert told == "pie: a bug in Pie, please report it (ZeroDivisionError: a); PIE_DEBUG=1 shows where\n"


def test_with_pie_debug_the_traceback_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIE_DEBUG", "1")
    ended_by(NotFound("x"))
    assert "Traceback" in capsys.readouterr().err


def test_what_typer_ends_by_itself_passes_through() -> None:
    assert ended_by(SystemExit(2)) == 2
