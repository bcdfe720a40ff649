"""The trait *core-runtime*, call by call: the interfaces `runtime` and `futures`."""

import pytest
from bench import Bench
from cases import MODEL, QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

import pie
from pie.core.events import Blob, Log, Message
from pie.core.programs import Limits

call = pytest.mark.call

WRONG = [
    wrong("runtime.available-traits", "nobody's", kind="unknown-id", says="there are: fake"),
    wrong("runtime.create-queue", "nobody's", kind="unknown-id", says="there are: fake"),
    wrong("runtime.create-queue", "", kind="unknown-id", says="no model"),
    wrong("runtime.set-queue-priority", 7, 1, kind="unknown-id", says="queue 7 does not exist"),
    wrong("runtime.synchronize", 7, kind="unknown-id", says="queue 7 does not exist"),
    wrong("runtime.reset-queue", 7, kind="unknown-id", says="queue 7 does not exist"),
    wrong("runtime.debug-query", 7, kind="unknown-id", says="queue 7 does not exist"),
    limit("runtime.send", Code("'x' * (1 << 20) + 'x'"), kind="limit-exceeded", says="split it"),
    limit("runtime.send-blob", Code("bytes((1 << 20) + 1)"), kind="limit-exceeded", says="split it"),
    wrong("futures.wait", 999, kind="unknown-id", says="future 999 was never given out"),
    wrong("futures.take-text", 999, kind="unknown-id", says="future 999"),
    wrong("futures.take-blob", 999, kind="unknown-id", says="future 999"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@call("runtime.get-version", "right")
@call("runtime.get-instance-id", "right")
@call("runtime.get-arg", "right")
async def test_a_program_knows_its_server_itself_and_its_arguments(puppet: Puppet) -> None:
    assert await puppet.call("runtime.get-version") == pie.__version__
    assert await puppet.call("runtime.get-instance-id") == puppet.instance.id
    assert await puppet.call("runtime.get-arg") == ["--one", "two"]


@call("runtime.send", "right")
@call("runtime.send-blob", "right")
@call("runtime.log", "right")
@call("runtime.send", "limit")
@call("runtime.send-blob", "limit")
@call("runtime.log", "limit")
async def test_what_it_sends_and_logs_arrives_in_order_up_to_the_longest(puppet: Puppet) -> None:
    await puppet.call("runtime.send", "söng 😀")
    await puppet.call("runtime.send-blob", b"\0\xff")
    await puppet.call("runtime.log", Code("runtime.Stream.STDERR"), "line\n")
    await puppet.call("runtime.send", "")
    await puppet.call("runtime.send-blob", Code("bytes(1 << 20)"))
    await puppet.call("runtime.log", Code("runtime.Stream.STDOUT"), Code("'x' * (1 << 21)"))
    told = puppet.told[1:]
    expected = [
        Message("söng 😀"),
        Blob(b"\0\xff"),
        Log("stderr", "line\n"),
        Message(""),
        Blob(bytes(1 << 20)),
    ]
    assert told[:5] == expected
    assert isinstance(told[5], Log)
    assert "cut" in told[5].text


@call("runtime.send", "wrong")
@call("runtime.send-blob", "wrong")
async def test_a_message_beyond_the_limit_of_the_launch_is_refused(bench: Bench) -> None:
    puppet = await bench.puppet(limits=Limits(message_bytes=500), scene=False)
    for name, message in (("runtime.send", "x" * 300 + "y"), ("runtime.send-blob", bytes(20))):
        await puppet.call(name, message)
    with pytest.raises(Refused, match="limit of 500"):
        await puppet.call("runtime.send", Code("'x' * 501"))
    with pytest.raises(Refused, match="limit of 500"):
        await puppet.call("runtime.send-blob", Code("bytes(501)"))


@call("runtime.receive", "right")
@call("runtime.receive-blob", "right")
@call("futures.take-text", "right")
@call("futures.take-blob", "right")
@call("futures.poll", "right")
async def test_messages_come_in_order_each_kind_in_a_line_of_its_own(puppet: Puppet) -> None:
    blob = await puppet.call("runtime.receive-blob")
    assert await puppet.call("futures.poll", [blob]) == []
    puppet.instance.post(b"one")
    assert await puppet.call("futures.poll", [blob]) == [blob]
    assert await puppet.call("futures.take-blob", blob) == b"one"
    text = await puppet.call("runtime.receive")
    puppet.instance.post("for the future that waits")
    assert await puppet.call("futures.take-text", text) == "for the future that waits"


@call("futures.take-text", "limit")
@call("futures.take-blob", "limit")
async def test_the_longest_messages_arrive_whole(puppet: Puppet) -> None:
    blob, text = [await puppet.call(f"runtime.{name}") for name in ("receive-blob", "receive")]
    puppet.instance.post("ü" * (1 << 20))
    puppet.instance.post(bytes(1 << 20))
    assert await puppet.evaluate(f"len(futures.take_text({text}))") == 1 << 20
    assert await puppet.evaluate(f"len(futures.take_blob({blob}))") == 1 << 20


@call("futures.take-text", "wrong")
@call("futures.take-blob", "wrong")
async def test_a_message_is_taken_once_as_what_it_is_and_not_before_it_is_there(puppet: Puppet) -> None:
    blob = await puppet.call("runtime.receive-blob")
    with pytest.raises(Refused, match="is not ready: wait for it first"):
        await puppet.call("futures.take-blob", blob)
    puppet.instance.post(b"one")
    with pytest.raises(Refused, match="has no text"):
        await puppet.call("futures.take-text", blob)
    await puppet.call("futures.take-blob", blob)
    with pytest.raises(Refused, match="any more"):
        await puppet.call("futures.take-blob", blob)


@call("runtime.receive", "limit")
@call("runtime.receive-blob", "limit")
@call("runtime.sleep", "limit")
@call("runtime.synchronize", "limit")
@call("runtime.receive", "wrong")
@call("runtime.receive-blob", "wrong")
@call("runtime.sleep", "wrong")
@pytest.mark.parametrize("made", ["receive()", "receive_blob()", "sleep(10000)", "synchronize(0)"])
async def test_futures_that_are_not_dropped_are_bounded(bench: Bench, made: str) -> None:
    puppet = await bench.puppet(limits=Limits(calls_in_flight=20), scene=False)
    await puppet.call("runtime.create-queue", MODEL)
    with pytest.raises(Refused, match="20 futures are not dropped yet") as refused:
        await puppet.evaluate(f"[runtime.{made} for _ in range(21)]")
    assert refused.value.kind == "limit-exceeded"


@call("futures.drop", "limit")
async def test_dropped_futures_make_room_again(bench: Bench) -> None:
    puppet = await bench.puppet(limits=Limits(calls_in_flight=20), scene=False)
    for _ in range(5):
        await puppet.evaluate("futures.drop([runtime.sleep(10000) for _ in range(15)])")
    await puppet.call("futures.drop", Code("list(range(100000))"))


@call("runtime.sleep", "right")
@call("runtime.now", "right")
@call("futures.wait", "right")
async def test_time_goes_on_while_a_program_sleeps(puppet: Puppet) -> None:
    before = await puppet.call("runtime.now")
    await puppet.made("runtime.sleep", 3)
    await puppet.made("runtime.sleep", 0)
    assert await puppet.call("runtime.now") >= before + 3


@call("runtime.sleep", "limit")
@call("futures.wait-any", "right")
@call("futures.wait-any", "limit")
@call("futures.drop", "right")
async def test_one_of_several_is_waited_for_with_a_bound(puppet: Puppet) -> None:
    late, soon = [await puppet.call("runtime.sleep", ms) for ms in (2**64 - 1, 1)]
    assert await puppet.call("futures.wait-any", [late, soon], None) == [soon]
    assert await puppet.call("futures.wait-any", [late], 1) == []
    assert await puppet.call("futures.wait-any", [late], 0) == []
    assert await puppet.call("futures.wait-any", [], 1) == []
    assert await puppet.call("futures.wait-any", [soon], 2**64 - 1) == [soon]
    await puppet.call("futures.drop", [late, soon, 12345])
    with pytest.raises(Refused, match="has been dropped"):
        await puppet.call("futures.wait", late)


@call("futures.poll", "limit")
async def test_an_unknown_future_ends_a_call_that_has_no_error_to_give(bench: Bench) -> None:
    for expression in ("futures.poll([77])", "futures.wait_any([77], None)"):
        puppet = await bench.puppet(scene=False)
        with pytest.raises(AssertionError, match="future 77 was never given out"):
            await puppet.evaluate(expression)


@call("futures.wait", "limit")
async def test_a_future_of_a_queue_fails_with_the_queue(puppet: Puppet) -> None:
    future = await puppet.evaluate("(output_text.get_next_dist(0, 5, 1, []), runtime.synchronize(0))[1]")
    with pytest.raises(Refused, match="emb 5"):
        await puppet.wait(future)


@call("runtime.available-models", "right")
@call("runtime.available-traits", "right")
@call("runtime.available-traits", "limit")
async def test_the_model_says_what_it_is_and_can(puppet: Puppet) -> None:
    (model,) = await puppet.call("runtime.available-models")
    assert (model["name"], model["page_size"], model["vocabulary_size"]) == (MODEL, 16, 509)
    traits = await puppet.call("runtime.available-traits", MODEL)
    assert {"core-runtime", "allocate", "forward", "input-text", "tokenize", "output-text"} <= set(traits)
    assert "input-image" not in traits


@call("runtime.create-queue", "right")
@call("runtime.create-queue", "limit")
@call("runtime.set-queue-priority", "right")
@call("runtime.set-queue-priority", "limit")
async def test_a_program_has_queues_up_to_a_limit_with_any_priority(puppet: Puppet) -> None:
    queues = [await puppet.call("runtime.create-queue", MODEL) for _ in range(255)]
    assert len({QUEUE, *queues}) == 256
    with pytest.raises(Refused, match="256 queues already"):
        await puppet.call("runtime.create-queue", MODEL)
    for priority in (2**31 - 1, -(2**31), 0):
        await puppet.call("runtime.set-queue-priority", queues[0], priority)
    assert "priority 0" in await puppet.call("runtime.debug-query", queues[0])


@call("runtime.synchronize", "right")
@call("runtime.reset-queue", "right")
@call("runtime.debug-query", "right")
@call("runtime.synchronize", "wrong")
@call("runtime.reset-queue", "limit")
@call("runtime.debug-query", "limit")
async def test_a_poisoned_queue_says_its_first_error_until_it_is_reset(puppet: Puppet) -> None:
    await puppet.made("runtime.synchronize", QUEUE)
    assert "ok" in await puppet.call("runtime.debug-query", QUEUE)
    with pytest.raises(Refused, match="emb 5"):
        await puppet.made("output-text.get-next-dist", QUEUE, 5, 1, [])
    assert "failed: " in await puppet.call("runtime.debug-query", QUEUE)
    with pytest.raises(Refused, match="emb 5") as refused:
        await puppet.call("runtime.synchronize", QUEUE)
    assert refused.value.kind == "queue-failed"
    await puppet.call("runtime.reset-queue", QUEUE)
    await puppet.call("runtime.reset-queue", QUEUE)
    await puppet.made("runtime.synchronize", QUEUE)


@call("runtime.usage", "right")
async def test_usage_counts_what_is_held_and_what_was_done(puppet: Puppet) -> None:
    usage = await puppet.call("runtime.usage")
    assert usage["pages"] >= 2
    assert usage["tokens"] == 32
    assert usage["host_calls"] > 10
    assert usage["cpu_ms"] > 0 < usage["cpu_ms_left"]
