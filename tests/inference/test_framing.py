"""Messages on a stream of bytes, and the channel that carries them."""

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from pie.inference.channel import Channel
from pie.inference.framing import Splitter, framed

MESSAGES = st.lists(st.binary(max_size=40), max_size=8)
BIG = bytes(range(256)) * 40_000
"""More than any socket takes at once."""


@given(MESSAGES, st.lists(st.integers(1, 30), min_size=1))
def test_messages_survive_any_cutting(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(framed, messages))
    splitter, found, at = Splitter(), [], 0
    for turn in range(len(stream)):
        size = cuts[turn % len(cuts)]
        splitter.feed(stream[at : at + size])
        found += splitter.messages()
        at += size
    assert found == messages


def test_who_stops_in_between_gets_the_rest_later() -> None:
    splitter = Splitter()
    splitter.feed(framed(b"one") + framed(b"two"))
    assert next(splitter.messages()) == b"one"
    assert list(splitter.messages()) == [b"two"]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  # what it waits for are callbacks of the loop itself
            await asyncio.sleep(0)


async def test_sending_never_blocks_and_loses_nothing() -> None:
    got: list[bytes] = []
    channel = Channel(got.append, lambda: None)
    other = channel.other_end
    for _ in range(3):
        channel.send(BIG)  # nobody reads yet
    expected = 3 * len(framed(BIG))
    received = bytearray()
    other.setblocking(False)

    def read() -> None:
        received.extend(other.recv(1 << 16))

    asyncio.get_running_loop().add_reader(other, read)
    await until(lambda: len(received) == expected)
    asyncio.get_running_loop().remove_reader(other)
    assert bytes(received) == 3 * framed(BIG)
    channel.close()


async def test_what_was_said_before_the_end_arrives_before_it() -> None:
    got: list[bytes] = []
    ended: list[int] = []
    channel = Channel(got.append, lambda: ended.append(len(got)))
    channel.other_end.sendall(framed(b"a") + framed(b"") + framed(b"b") + framed(b"cut")[:5])
    channel.other_end.close()
    await until(lambda: bool(ended))
    assert (got, ended) == ([b"a", b"", b"b"], [3])
    channel.send(b"into the void")
    channel.close()


async def test_a_receiver_that_raises_loses_only_that_message() -> None:
    got: list[bytes] = []

    def receive(message: bytes) -> None:
        if message == b"bad":
            raise ValueError(message)
        got.append(message)

    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    channel = Channel(receive, lambda: None)
    channel.other_end.sendall(framed(b"1") + framed(b"bad") + framed(b"2"))
    await until(lambda: len(got) == 2)
    assert got == [b"1", b"2"]
    assert len(complaints) == 1
    channel.close()
