import asyncio

import pytest

from pie.application.mailbox import MOST_KEPT, MOST_KEPT_BYTES, MOST_POSTS, MOST_UNREAD, Inbox, Outbox
from pie.core.errors import LimitExceeded
from pie.core.events import Event, Finished, Log, Message


def messages(count: int) -> list[Event]:
    return [Message(str(i)) for i in range(count)]


async def read_all(outbox: Outbox) -> list[Event]:
    return [event async for event in outbox.read()]


async def test_a_late_reader_gets_everything_from_the_first_event_on() -> None:
    outbox = Outbox()
    for event in [*messages(3), Finished("x")]:
        outbox.put(event)
    outbox.end()
    assert await read_all(outbox) == [*messages(3), Finished("x")]
    assert await read_all(outbox) == [*messages(3), Finished("x")]


async def test_with_nobody_reading_the_oldest_events_make_room_and_a_reader_is_told() -> None:
    outbox = Outbox()
    for event in messages(MOST_KEPT + 5):
        outbox.put(event)
    outbox.end()
    assert not outbox.full
    events = await read_all(outbox)
    assert events[0] == Log("stderr", "[5 earlier events were dropped]\n")
    assert events[1:] == messages(MOST_KEPT + 5)[5:]


async def test_long_events_are_kept_as_far_as_they_are_short_together_but_always_the_last() -> None:
    outbox = Outbox()
    for letter in "abc":
        outbox.put(Message(letter * MOST_KEPT_BYTES * 2))
    assert outbox.kept_bytes == MOST_KEPT_BYTES * 2
    outbox.end()
    assert [type(event) for event in await read_all(outbox)] == [Log, Message]


async def test_a_slow_reader_loses_nothing_and_makes_the_outbox_full() -> None:
    outbox = Outbox()
    outbox.put(Message("first"))
    reader = outbox.read()
    assert await anext(reader) == Message("first")
    for event in messages(MOST_UNREAD + 7):
        outbox.put(event)
    assert outbox.full
    woken: list[int] = []
    outbox.when_room(lambda: woken.append(1))
    assert [await anext(reader) for _ in range(8)] == messages(8)
    assert woken == [1]
    outbox.end()
    assert [event async for event in reader] == messages(MOST_UNREAD + 7)[8:]


async def test_a_reader_that_leaves_makes_room() -> None:
    outbox = Outbox()
    reader = outbox.read()
    outbox.put(Message("first"))
    await anext(reader)
    for event in messages(MOST_UNREAD + 1):
        outbox.put(event)
    woken: list[int] = []
    outbox.when_room(lambda: woken.append(1))
    await reader.aclose()
    assert woken == [1]
    assert not outbox.full
    assert [event async for event in reader] == []


async def test_nothing_is_dropped_before_a_reader_that_has_not_begun_yet() -> None:
    outbox = Outbox()
    reader = outbox.read()
    for event in messages(MOST_KEPT + 5):
        outbox.put(event)
    outbox.end()
    assert [event async for event in reader] == messages(MOST_KEPT + 5)


def test_a_reader_that_nobody_has_any_more_makes_room() -> None:
    outbox = Outbox()
    reader = outbox.read()
    for event in messages(MOST_UNREAD + 1):
        outbox.put(event)
    assert outbox.full
    del reader
    assert not outbox.full


async def test_a_reader_waits_for_events_and_for_the_end() -> None:
    outbox = Outbox()
    reading = asyncio.create_task(read_all(outbox))
    await asyncio.sleep(0)
    outbox.put(Message("now"))
    await asyncio.sleep(0)
    outbox.end()
    assert await reading == [Message("now")]


def test_a_message_goes_to_whoever_has_waited_longest() -> None:
    inbox = Inbox()
    first, second = inbox.receive(), inbox.receive()
    inbox.post("a")
    inbox.post("b")
    assert (first.result(), second.result()) == ("a", "b")


def test_texts_and_bytes_do_not_mix() -> None:
    inbox = Inbox()
    text, blob = inbox.receive(), inbox.receive_blob()
    inbox.post(b"b")
    assert blob.done
    assert not text.done


def test_a_message_that_was_never_read_goes_to_the_next_future() -> None:
    inbox = Inbox()
    dropped = inbox.receive()
    inbox.post("a")
    inbox.post("b")
    assert dropped.on_drop is not None
    dropped.on_drop(dropped)
    assert [inbox.receive().result(), inbox.receive().result()] == ["a", "b"]


def test_a_waiting_future_that_is_dropped_takes_no_message() -> None:
    inbox = Inbox()
    dropped = inbox.receive()
    assert dropped.on_drop is not None
    dropped.on_drop(dropped)
    inbox.post("a")
    assert not dropped.done
    assert inbox.receive().result() == "a"


def test_a_program_that_does_not_receive_cannot_be_flooded() -> None:
    inbox = Inbox()
    for _ in range(MOST_POSTS):
        inbox.post("x")
    with pytest.raises(LimitExceeded, match="mailbox is full"):
        inbox.post("x")
