"""The trait *sample*, call by call."""

from typing import Any

import pytest
from bench import GREEDY
from cases import LARGEST, MANY, NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

call = pytest.mark.call
LONG = Code(f"list(range(1000, 1000 + {MANY} + 1))")


def spec(**changed: Any) -> Code:
    words = str(GREEDY)
    for name, value in changed.items():
        start = words.index(f"{name}=")
        end = words.index(", ", start) if ", " in words[start:] else len(words) - 1
        words = f"{words[:start]}{name}={value!r}{words[end:]}"
    return Code(words)


def ahead(**changed: Any) -> list[Any]:
    """Arguments of `decode-ahead`: five tokens after the text in pages 0 and 1, into page 2."""
    given = {
        "queue": QUEUE,
        "spec": GREEDY,
        "position": 32,
        "pages": [0, 1, 2],
        "offset": 32,
        "emb": 1,
        "oemb": 0,
        "count": 5,
        "stop": [],
        "chunk": 2,
        "matcher": None,
        "adapter": None,
        **changed,
    }
    return list(given.values())


NAN = Code("float('nan')")
WRONG = [
    wrong("sample.alloc-slot", QUEUE, [9, 9], says="slot 9 is named twice"),
    wrong("sample.alloc-slot", QUEUE, [0], says="slot 0 is allocated already"),
    wrong("sample.alloc-slot", 7, [9], kind="unknown-id", says="queue 7"),
    limit("sample.alloc-slot", QUEUE, LONG, says=f"at most {MANY}"),
    wrong("sample.dealloc-slot", QUEUE, [NOBODY], kind="unknown-id", says="slot 99 was never allocated"),
    wrong("sample.dealloc-slot", 7, [0], kind="unknown-id", says="queue 7"),
    limit("sample.dealloc-slot", QUEUE, LONG, says=f"at most {MANY}"),
    wrong("sample.sample", QUEUE, NOBODY, GREEDY, 1, None, kind="unknown-id", says="emb 99"),
    wrong("sample.sample", QUEUE, 0, GREEDY, NOBODY, None, kind="unknown-id", says="slot 99"),
    wrong("sample.sample", QUEUE, 0, GREEDY, 1, NOBODY, kind="unknown-id", says="matcher 99"),
    wrong("sample.sample", QUEUE, 0, spec(temperature=-1.0), 1, None, says="temperature"),
    wrong("sample.sample", QUEUE, 0, spec(temperature=NAN), 1, None, says="temperature"),
    wrong("sample.sample", QUEUE, 0, spec(top_p=2.0), 1, None, says="top_p"),
    wrong("sample.sample", QUEUE, 0, spec(frequency_penalty=NAN), 1, None, says="frequency_penalty"),
    limit("sample.sample", QUEUE, 0, spec(presence_penalty=1000.5), 1, None, says="presence_penalty"),
    limit("sample.sample", QUEUE, 0, spec(seen=[509]), 1, None, says="token 509"),
    wrong("sample.sample", QUEUE, 0, spec(seen_slots=[NOBODY]), 1, None, kind="unknown-id", says="slot 99"),
    wrong("sample.embed-slot", QUEUE, [0], [1, 2], [1], says="1 slots, 2 positions and 1 embs"),
    wrong("sample.embed-slot", QUEUE, [NOBODY], [1], [1], kind="unknown-id", says="slot 99"),
    wrong("sample.embed-slot", QUEUE, [0], [1], [NOBODY], kind="unknown-id", says="emb 99"),
    wrong("sample.embed-slot", QUEUE, [0, 0], [1, 2], [1, 1], says="emb 1 is named twice"),
    limit("sample.embed-slot", QUEUE, [0], [4096], [1], says="position 4096"),
    wrong("sample.read-slots", QUEUE, [NOBODY], kind="unknown-id", says="slot 99"),
    wrong("sample.read-slots", 7, [0], kind="unknown-id", says="queue 7"),
    limit("sample.read-slots", QUEUE, LONG, says=f"at most {MANY}"),
    wrong("sample.decode-ahead", *ahead(queue=7), kind="unknown-id", says="queue 7"),
    wrong("sample.decode-ahead", *ahead(count=0), says="a count of 0"),
    wrong("sample.decode-ahead", *ahead(chunk=0), says="a chunk of 0"),
    wrong("sample.decode-ahead", *ahead(pages=[0, 1, NOBODY]), kind="unknown-id", says="page 99"),
    wrong("sample.decode-ahead", *ahead(pages=[0, 1, 1]), says="page 1 is named twice"),
    wrong("sample.decode-ahead", *ahead(emb=NOBODY), kind="unknown-id", says="emb 99"),
    wrong("sample.decode-ahead", *ahead(matcher=NOBODY), kind="unknown-id", says="matcher 99"),
    wrong("sample.decode-ahead", *ahead(adapter="painter"), says="there are: poet"),
    wrong("sample.decode-ahead", *ahead(spec=spec(min_p=3.0)), says="min_p"),
    limit("sample.decode-ahead", *ahead(count=18), says="do not fit into 3 pages"),
    limit("sample.decode-ahead", *ahead(position=4096), says="position"),
    limit("sample.decode-ahead", *ahead(offset=LARGEST), says="do not fit"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


async def take(puppet: Puppet, future: int) -> Any:
    return await puppet.call("output-text.take-tokens", future)


@call("sample.alloc-slot", "right")
@call("sample.dealloc-slot", "right")
@call("sample.alloc-slot", "limit")
async def test_slots_of_any_number_are_taken_and_given_back(puppet: Puppet) -> None:
    for _ in range(2):
        await puppet.call("sample.alloc-slot", QUEUE, [9, LARGEST])
        await puppet.call("sample.dealloc-slot", QUEUE, [9, LARGEST])
    with pytest.raises(Refused, match="slot 9 was freed"):
        await puppet.call("sample.read-slots", QUEUE, [9])


@call("sample.sample", "right")
@call("sample.embed-slot", "right")
@call("sample.read-slots", "right")
async def test_steps_queued_ahead_give_the_tokens_of_single_steps(puppet: Puppet) -> None:
    for step in range(3):
        await puppet.call("sample.embed-slot", QUEUE, [step], [32 + step], [1])
        await puppet.call("forward.forward", QUEUE, [0, 1, 2], [1], [2], step, [2], [], None)
        await puppet.call("sample.sample", QUEUE, 2, GREEDY, step + 1, None)
    ahead_of_it = await take(puppet, await puppet.call("sample.read-slots", QUEUE, [0, 1, 2, 3]))
    await puppet.call("allocate.dealloc-kvpage", QUEUE, [2])
    await puppet.call("allocate.alloc-kvpage", QUEUE, [2])
    token, singly = ahead_of_it[0], ahead_of_it[:1]
    for step in range(3):
        await puppet.call("input-text.embed-txt", QUEUE, [token], [32 + step], [1])
        await puppet.call("forward.forward", QUEUE, [0, 1, 2], [1], [2], step, [2], [], None)
        dist = await puppet.made("output-text.get-next-dist", QUEUE, 2, 1, [])
        token = await puppet.call("output-text.dist-max-index", dist)
        singly.append(token)
    assert ahead_of_it == singly


@call("sample.sample", "right")
@call("sample.sample", "limit")
async def test_a_sample_is_what_the_program_would_draw_itself(puppet: Puppet) -> None:
    dist = await puppet.made("output-text.get-next-dist", QUEUE, 0, 256, [])
    for changed in (
        {"temperature": 0.9, "seed": 2**64 - 1},
        {"temperature": 2.5, "top_k": 40, "seed": 3},
        {
            "temperature": 1.0,
            "top_p": 0.3,
            "min_p": 0.01,
            "seed": 4,
            "presence_penalty": 2.0,
            "seen": [1, 1, 2],
        },
    ):
        how = spec(**changed)
        await puppet.call("sample.sample", QUEUE, 0, how, 2, None)
        drawn = await take(puppet, await puppet.call("sample.read-slots", QUEUE, [2]))
        own = Code(how.replace("sample.SamplingSpec", "output_text.Sampling").replace(", seen_slots=[]", ""))
        assert drawn == [await puppet.call("output-text.dist-sample", dist, own)]


@call("sample.sample", "limit")
async def test_tokens_in_slots_count_as_seen(puppet: Puppet) -> None:
    (best,) = await take(puppet, await puppet.call("sample.read-slots", QUEUE, [0]))
    strong = spec(presence_penalty=1000.0, seen_slots=[0])
    await puppet.call("sample.sample", QUEUE, 0, strong, 1, None)
    assert await take(puppet, await puppet.call("sample.read-slots", QUEUE, [1])) != [best]


@call("sample.embed-slot", "limit")
@call("sample.read-slots", "limit")
async def test_nothing_can_be_embedded_and_read(puppet: Puppet) -> None:
    await puppet.call("sample.embed-slot", QUEUE, [], [], [])
    assert await take(puppet, await puppet.call("sample.read-slots", QUEUE, [])) == []


@call("sample.read-slots", "wrong")
async def test_a_slot_that_nothing_was_sampled_into_poisons_the_queue(puppet: Puppet) -> None:
    with pytest.raises(Refused, match="slot 3"):
        await take(puppet, await puppet.call("sample.read-slots", QUEUE, [3]))


@call("sample.decode-ahead", "right")
@call("sample.decode-ahead", "limit")
async def test_decoding_ahead_comes_in_pieces_and_ends_with_a_stop_token(puppet: Puppet) -> None:
    run = await puppet.call("sample.decode-ahead", *ahead(count=17))
    found: list[int] = []
    with pytest.raises(Refused, match="has been dropped"):
        while True:
            found += await take(puppet, run)
    assert len(found) == 17
    stop = found[4]
    await puppet.call("forward.forward", QUEUE, [0, 1], [1], [], 0, [0], [], None)
    await puppet.made("runtime.synchronize", QUEUE)
    await fresh_page(puppet)
    run = await puppet.call("sample.decode-ahead", *ahead(count=17, stop=[stop], chunk=100))
    assert await take(puppet, run) == found[: found.index(stop) + 1]


async def fresh_page(puppet: Puppet) -> None:
    """An empty page 2, and the hidden state of the text's last token in embedding 0 again."""
    await puppet.call("allocate.dealloc-kvpage", QUEUE, [2])
    await puppet.call("allocate.alloc-kvpage", QUEUE, [2])
    await puppet.call("input-text.embed-txt", QUEUE, [131], [31], [1])
    mask = [[0, 31, 1, 1]]
    await puppet.call("forward.forward", QUEUE, [0, 1], [1], [], 0, [0], [], mask)
