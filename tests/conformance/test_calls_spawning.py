"""The trait *spawning*, call by call."""

from typing import Any

import pytest
from bench import Bench
from cases import Case, limit, wrong
from puppet import Code, Puppet, Refused

from pie.core.programs import Limits

call = pytest.mark.call
ECHO = """
from inferlet import raw

def main(times: int = 1):
    for _ in range(times):
        raw.send(raw.receive().wait() + "!")
        raw.send_blob(raw.receive_blob().wait() + b"!")
    return "done"
"""


def source(text: str) -> Code:
    return Code(f"spawning.Program_Source({text!r})")


MYSELF = Code("spawning.Program_Myself()")
WRONG = [
    wrong(
        "spawning.spawn",
        Code("spawning.Program_Named('nobodys')"),
        [],
        0.5,
        kind="unknown-id",
        says="nobodys",
    ),
    wrong(
        "spawning.spawn",
        Code(f"spawning.Program_Named({'0' * 64!r})"),
        [],
        0.5,
        kind="unknown-id",
        says="upload",
    ),
    wrong("spawning.spawn", MYSELF, [], Code("float('nan')"), says="share"),
    limit("spawning.spawn", MYSELF, [], 0.0, says="share is above 0"),
    limit("spawning.spawn", MYSELF, [], 1.5, says="at most 1"),
    limit("spawning.spawn", MYSELF, [], 1e-4, kind="limit-exceeded", says="too little"),
    limit("spawning.spawn", MYSELF, Code("['x'] * 5000"), 0.5, kind="limit-exceeded", says="arguments"),
    *(
        wrong(f"spawning.{name}", 1, *rest, kind="unknown-id", says="child 1 does not exist: spawn first")
        for name, *rest in (
            ("wait-child",),
            ("receive-from-child",),
            ("receive-blob-from-child",),
            ("send-to-child", "x"),
            ("send-blob-to-child", b"x"),
            ("cancel-child",),
        )
    ),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


async def text_of(puppet: Puppet, name: str, *arguments: Any) -> Any:
    return await puppet.call("futures.take-text", await puppet.made(name, *arguments))


@call("spawning.spawn", "right")
@call("spawning.wait-child", "right")
@call("spawning.receive-from-child", "right")
@call("spawning.receive-blob-from-child", "right")
@call("spawning.send-to-child", "right")
@call("spawning.send-blob-to-child", "right")
async def test_a_child_takes_and_sends_messages_and_has_a_result(puppet: Puppet) -> None:
    child = await puppet.call("spawning.spawn", source(ECHO), ["--times", "2"], 0.5)
    for text, blob in (("häi", b"\0"), ("ho", b"")):
        await puppet.call("spawning.send-to-child", child, text)
        await puppet.call("spawning.send-blob-to-child", child, blob)
        assert await text_of(puppet, "spawning.receive-from-child", child) == text + "!"
        future = await puppet.made("spawning.receive-blob-from-child", child)
        assert await puppet.call("futures.take-blob", future) == blob + b"!"
    assert await text_of(puppet, "spawning.wait-child", child) == "done"


@call("spawning.spawn", "right")
async def test_it_may_be_a_standard_inferlet_a_function_or_the_program_itself(puppet: Puppet) -> None:
    hello = await puppet.call("spawning.spawn", Code("spawning.Program_Named('hello')"), [], 0.2)
    await puppet.made("spawning.wait-child", hello)
    again = await puppet.call("spawning.spawn", MYSELF, ["--other"], 0.2)
    await puppet.call("spawning.send-to-child", again, "runtime.get_arg()")
    assert await text_of(puppet, "spawning.receive-from-child", again) == "('value', ['--other'])"
    argument = '{"args": [[1, 2]], "kwargs": {}}'
    function = await puppet.call(
        "spawning.spawn", Code("spawning.Program_Function('plain')"), [argument], 0.2
    )
    await puppet.call("spawning.send-to-child", function, "")
    assert await text_of(puppet, "spawning.wait-child", function) == "[1, 2]"
    await puppet.call("spawning.cancel-child", again)


@call("spawning.wait-child", "limit")
@call("spawning.receive-from-child", "limit")
@call("spawning.receive-blob-from-child", "limit")
@call("spawning.send-to-child", "wrong")
@call("spawning.send-blob-to-child", "limit")
@call("spawning.send-to-child", "limit")
async def test_a_child_that_failed_says_why_and_takes_nothing_more(puppet: Puppet) -> None:
    child = await puppet.call("spawning.spawn", source("raise ValueError('on purpose')"), [], 0.5)
    with pytest.raises(Refused, match="on purpose"):
        await puppet.made("spawning.wait-child", child)
    with pytest.raises(Refused, match="on purpose"):
        await puppet.made("spawning.wait-child", child)
    for name in ("receive-from-child", "receive-blob-from-child"):
        with pytest.raises(Refused, match="sends nothing more"):
            await puppet.made(f"spawning.{name}", child)
    for name, message in (("send-to-child", "x"), ("send-blob-to-child", b"x")):
        with pytest.raises(Refused, match="receives no messages any more"):
            await puppet.call(f"spawning.{name}", child, message)


@call("spawning.cancel-child", "right")
@call("spawning.cancel-child", "limit")
async def test_a_cancelled_child_ends_once(puppet: Puppet) -> None:
    child = await puppet.call("spawning.spawn", source("while True:\n    pass"), [], 0.5)
    for _ in range(2):
        await puppet.call("spawning.cancel-child", child)
    with pytest.raises(Refused, match="cancelled"):
        await puppet.made("spawning.wait-child", child)


@call("spawning.spawn", "limit")
async def test_the_children_of_a_program_are_counted(bench: Bench) -> None:
    puppet = await bench.puppet(limits=Limits(children=2), scene=False)
    for _ in range(2):
        await puppet.call("spawning.spawn", source(ECHO), [], 0.1)
    with pytest.raises(Refused, match="as many as allowed"):
        await puppet.call("spawning.spawn", source(ECHO), [], 0.1)
