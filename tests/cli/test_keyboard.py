"""Lines of standard input become messages."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from pie.cli import keyboard
from pie.cli.keyboard import forward_lines
from pie.core.errors import LimitExceeded, WrongState
from pie.core.events import Event


class Job:
    """`refusals` are raised first, one a post."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.posts: list[str] = []

    async def events(self) -> AsyncIterator[Event]:
        raise NotImplementedError
        yield

    async def post(self, line: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.posts.append(line)

    async def cancel(self) -> None:
        raise NotImplementedError


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of what is read as standard input."""
    read, write = os.pipe()
    monkeypatch.setattr(keyboard, "STDIN", read)
    yield write
    os.close(read)


def feed(write: int, text: bytes) -> None:
    os.write(write, text)
    os.close(write)


async def test_lines_are_posted_without_their_ends_and_the_end_is_an_empty_message(write: int) -> None:
    feed(write, "one\ntwö\n\nrest".encode())
    job = Job()
    await forward_lines(job)
    assert job.posts == ["one", "twö", "", "rest", ""]


async def test_more_lines_than_are_taken_at_once_arrive_all(write: int) -> None:
    feed(write, b"x\n" * 1000)
    job = Job()
    await forward_lines(job)
    assert job.posts == ["x"] * 1000 + [""]


async def test_a_full_mailbox_is_tried_again(write: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyboard, "RETRY_SECONDS", 0)
    feed(write, b"one\n")
    job = Job(LimitExceeded("full"), LimitExceeded("full"))
    await forward_lines(job)
    assert job.posts == ["one", ""]


async def test_a_program_that_has_ended_ends_the_forwarding(write: int) -> None:
    feed(write, b"one\ntwo\n")
    job = Job(WrongState("it has ended"))
    await forward_lines(job)
    assert job.posts == []
