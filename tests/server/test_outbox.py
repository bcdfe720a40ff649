"""Frames that are ready together travel together, and a client that takes nothing is noticed."""

import asyncio
from typing import Any

import msgspec
import pytest

from pie.core.errors import Timeout
from pie.protocol import MessageFrame
from pie.server.outbox import Outbox


async def test_what_is_ready_in_one_turn_is_one_message() -> None:
    outbox = Outbox(limit_bytes=1000, stall_seconds=10)
    sent: list[Any] = []

    async def send(message: bytes) -> None:
        sent.append(msgspec.msgpack.decode(message))

    sender = asyncio.create_task(outbox.send_all(send))
    for number in range(3):
        outbox.put(MessageFrame(number, "x"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    outbox.put(MessageFrame(3, "y"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sender.cancel()
    assert [[frame["ref"] for frame in message] for message in sent] == [[0, 1, 2], [3]]


async def test_a_full_outbox_makes_its_writers_wait_until_it_is_sent() -> None:
    outbox = Outbox(limit_bytes=100, stall_seconds=10)
    outbox.put(MessageFrame(0, "x" * 200))
    assert outbox.full
    waiting = asyncio.create_task(outbox.wait_room())
    await asyncio.sleep(0)
    assert not waiting.done()

    async def send(message: bytes) -> None:
        del message

    await outbox.flush(send)
    await waiting
    assert not outbox.full


async def test_a_client_that_takes_nothing_is_given_up() -> None:
    outbox = Outbox(limit_bytes=100, stall_seconds=0.01)
    outbox.put(MessageFrame(0, "x"))

    async def stuck(message: bytes) -> None:
        del message
        await asyncio.Event().wait()

    with pytest.raises(Timeout, match="took nothing"):
        await outbox.send_all(stuck)
