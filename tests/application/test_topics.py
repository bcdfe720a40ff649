"""Topics: who gets what, in which order, and who waits for whom."""

import random

import pytest

from pie.application.futures import Future
from pie.application.topics import (
    MOST_PENDING,
    MOST_PENDING_SIZE,
    MOST_SUBSCRIPTIONS,
    MOST_UNREAD,
    MOST_UNREAD_SIZE,
    MOST_WAITING,
    Member,
    Topics,
)
from pie.core.errors import Cancelled, InvalidArgument, LimitExceeded, UnknownId


@pytest.fixture
def topics() -> Topics:
    return Topics()


def member(topics: Topics, tenant: str = "default") -> Member:
    return Member(topics, tenant)


def read(reader: Member, subscription: int, count: int) -> list[str]:
    return [reader.next_message(subscription).result() for _ in range(count)]


def test_everybody_who_subscribes_gets_what_is_broadcast_from_then_on(topics: Topics) -> None:
    sender, first, second = member(topics), member(topics), member(topics)
    one = first.subscribe("news")
    sender.broadcast("news", "a")
    two = second.subscribe("news")
    sender.broadcast("news", "b")
    assert read(first, one, 2) == ["a", "b"]
    assert read(second, two, 1) == ["b"]
    assert not second.next_message(two).done


def test_a_broadcast_that_nobody_hears_is_complete_at_once(topics: Topics) -> None:
    assert member(topics).broadcast("news", "a").done


def test_a_program_hears_itself(topics: Topics) -> None:
    alone = member(topics)
    subscription = alone.subscribe("news")
    alone.broadcast("news", "echo")
    assert read(alone, subscription, 1) == ["echo"]


def test_a_message_goes_to_the_future_that_waits_for_it(topics: Topics) -> None:
    reader = member(topics)
    waiting = reader.next_message(reader.subscribe("news"))
    member(topics).broadcast("news", "now")
    assert waiting.result() == "now"


def test_a_message_whose_future_is_dropped_goes_to_the_next(topics: Topics) -> None:
    reader, sender = member(topics), member(topics)
    subscription = reader.subscribe("news")
    dropped = reader.next_message(subscription)
    sender.broadcast("news", "a")
    sender.broadcast("news", "b")
    assert dropped.on_drop is not None
    dropped.on_drop(dropped)
    assert read(reader, subscription, 2) == ["a", "b"]


def test_tenants_do_not_hear_one_another(topics: Topics) -> None:
    mine, theirs = member(topics, "mine"), member(topics, "theirs")
    subscription = theirs.subscribe("news")
    mine.broadcast("news", "secret")
    assert not theirs.next_message(subscription).done


def fill(sender: Member, topic: str = "news") -> None:
    for i in range(MOST_UNREAD):
        assert sender.broadcast(topic, str(i)).done


def test_a_full_mailbox_pushes_back_and_drops_nothing(topics: Topics) -> None:
    sender, reader = member(topics), member(topics)
    subscription = reader.subscribe("news")
    fill(sender)
    late = [sender.broadcast("news", f"late {i}") for i in range(3)]
    assert not any(future.done for future in late)
    assert read(reader, subscription, 1) == ["0"]
    assert [future.done for future in late] == [True, False, False]
    rest = read(reader, subscription, MOST_UNREAD + 2)
    assert rest == [str(i) for i in range(1, MOST_UNREAD)] + [f"late {i}" for i in range(3)]


def test_a_long_message_always_fits_into_an_empty_mailbox_and_fills_it(topics: Topics) -> None:
    sender, reader = member(topics), member(topics)
    subscription = reader.subscribe("news")
    assert sender.broadcast("news", "x" * 2 * MOST_UNREAD_SIZE).done
    waiting = sender.broadcast("news", "y")
    assert not waiting.done
    read(reader, subscription, 1)
    assert waiting.done


def test_a_broadcast_waits_for_the_slowest_of_its_subscribers(topics: Topics) -> None:
    sender, quick, slow = member(topics), member(topics), member(topics)
    quickly, slowly = quick.subscribe("news"), slow.subscribe("news")
    fill(sender)
    late = sender.broadcast("news", "late")
    read(quick, quickly, MOST_UNREAD + 1)
    assert not late.done
    read(slow, slowly, 1)
    assert late.done


@pytest.mark.parametrize("end", ["unsubscribes", "ends"])
def test_a_subscriber_that_goes_lets_the_waiting_go_on(topics: Topics, end: str) -> None:
    sender, reader = member(topics), member(topics)
    subscription = reader.subscribe("news")
    fill(sender)
    late = sender.broadcast("news", "late")
    if end == "ends":
        reader.close()
    else:
        reader.unsubscribe(subscription)
    assert late.done
    assert len(topics) == 0


def test_a_broadcaster_that_ends_is_forgotten(topics: Topics) -> None:
    sender, other, reader = member(topics), member(topics), member(topics)
    subscription = reader.subscribe("news")
    fill(sender)
    sender.broadcast("news", "lost")
    waiting = other.broadcast("news", "kept")
    sender.close()
    assert read(reader, subscription, MOST_UNREAD + 1)[-1] == "kept"
    assert waiting.done


def test_what_waits_for_room_is_bounded_in_number_and_size(topics: Topics) -> None:
    sender, reader = member(topics), member(topics)
    reader.subscribe("news")
    fill(sender)
    with pytest.raises(LimitExceeded, match="await them"):
        sender.broadcast("news", "x" * (MOST_PENDING_SIZE + 1))
    for _ in range(MOST_PENDING):
        sender.broadcast("news", "x")
    with pytest.raises(LimitExceeded, match=f"{MOST_PENDING} broadcasts"):
        sender.broadcast("news", "x")
    reader.close()
    assert sender.broadcast("news", "x").done


def test_subscriptions_and_waits_are_bounded(topics: Topics) -> None:
    reader = member(topics)
    numbers = [reader.subscribe(f"topic {i}") for i in range(MOST_SUBSCRIPTIONS)]
    with pytest.raises(LimitExceeded, match="unsubscribe first"):
        reader.subscribe("one more")
    for _ in range(MOST_WAITING):
        reader.next_message(numbers[0])
    with pytest.raises(LimitExceeded, match="wait for messages"):
        reader.next_message(numbers[0])


def test_whoever_waits_for_a_subscription_that_ends_is_told(topics: Topics) -> None:
    reader = member(topics)
    subscription = reader.subscribe("news")
    waiting = reader.next_message(subscription)
    reader.unsubscribe(subscription)
    with pytest.raises(Cancelled, match="'news' has ended"):
        waiting.result()


def test_numbers_that_mean_nothing_are_told_apart(topics: Topics) -> None:
    reader = member(topics)
    ended = reader.subscribe("news")
    reader.unsubscribe(ended)
    for call in (reader.unsubscribe, reader.next_message):
        with pytest.raises(UnknownId, match="has ended"):
            call(ended)
        with pytest.raises(UnknownId, match="subscribe first"):
            call(7)


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_names_have_a_length(topics: Topics, name: str) -> None:
    with pytest.raises(InvalidArgument, match="1 to 256"):
        member(topics).subscribe(name)
    with pytest.raises(InvalidArgument, match="1 to 256"):
        member(topics).broadcast(name, "x")


@pytest.mark.parametrize("seed", range(5))
def test_at_random_each_publishers_order_is_kept_and_nothing_is_lost(topics: Topics, seed: int) -> None:
    chance = random.Random(seed)
    senders = {name: member(topics) for name in "abc"}
    readers = [member(topics) for _ in range(3)]
    numbers = [reader.subscribe("news") for reader in readers]
    heard: list[list[str]] = [[] for _ in readers]
    counts = dict.fromkeys(senders, 0)
    futures: list[Future] = []
    for _ in range(2000):
        name = chance.choice("abc")
        if chance.random() < 0.6 and sum(not future.done for future in futures[-90:]) < MOST_PENDING:
            futures.append(senders[name].broadcast("news", f"{name}{counts[name]}"))
            counts[name] += 1
        which = chance.randrange(3)
        future = readers[which].next_message(numbers[which])
        if future.done:
            heard[which].append(future.result())
        elif future.on_drop is not None:
            future.on_drop(future)
    for which, reader in enumerate(readers):
        while (future := reader.next_message(numbers[which])).done:
            heard[which].append(future.result())
    for messages in heard:
        for name, count in counts.items():
            assert [text for text in messages if text[0] == name] == [f"{name}{i}" for i in range(count)]
    assert all(future.done for future in futures)
    for each in (*senders.values(), *readers):
        each.close()
    assert len(topics) == 0
