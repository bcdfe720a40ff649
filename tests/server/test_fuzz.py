"""Whatever a client sends, the session answers or ignores it; it never breaks."""

import asyncio
from typing import Any, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pie.application import Application
from pie.protocol import Frame
from pie.server import Backend, ServerSettings, Service
from pie.server.outbox import Outbox
from pie.server.session import Session
from pie.testing.scripted import ScriptedApplication
from pie.testing.serving import SCRIPTS

WORDS = st.sampled_from(["launch", "message", "blob", "cancel", "hello", "echo", "forever", "i-0", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 1 << 60) | st.floats() | WORDS | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["op", "ref", "id", "text", "data", "program", "source", "args", "limits", "detach"])
OPERATIONS = st.dictionaries(KEYS, VALUES | st.integers(0, 3) | WORDS) | VALUES
MESSAGES = st.binary() | st.lists(OPERATIONS, max_size=5).map(msgspec.msgpack.encode)


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGES, max_size=5))
def test_any_message_is_survived_and_every_answer_is_a_frame(messages: list[bytes]) -> None:
    asyncio.run(feed(messages))


async def feed(messages: list[bytes]) -> None:
    application = ScriptedApplication(SCRIPTS)
    service = Service(ServerSettings())
    service.attach(Backend(cast(Application, application), tuple, tuple))
    outbox = Outbox(limit_bytes=1 << 20, stall_seconds=10)
    session = Session(service, outbox)
    for message in messages:
        session.feed(message)
    await session.close()
    frames: list[Any] = []

    async def take(message: bytes) -> None:
        frames.extend(msgspec.msgpack.decode(message, type=list[Frame]))

    await outbox.flush(take)
    await application.close()
    assert application.running() == 0
