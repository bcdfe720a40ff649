"""The trait *allocate*, call by call."""

import pytest
from bench import Bench
from cases import LARGEST, MANY, MODEL, NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

call = pytest.mark.call
LONG = Code(f"list(range(1000, 1000 + {MANY} + 1))")
WITH_ME = Code("allocate.Lifetime_WithMe()")


def lease(seconds: float) -> Code:
    return Code(f"allocate.Lifetime_Lease({seconds!r})")


def export(
    pages: list[int], name: str, life: Code = WITH_ME, most: int = 0, about: bytes = b""
) -> tuple[object, ...]:
    return QUEUE, pages, name, life, most, about


WRONG = [
    wrong("allocate.kvpage-size", "nobody's", kind="unknown-id", says="no model nobody's"),
    wrong("allocate.alloc-kvpage", QUEUE, [9, 9], says="page 9 is named twice"),
    wrong("allocate.alloc-kvpage", QUEUE, [0], says="page 0 is allocated already"),
    wrong("allocate.alloc-kvpage", 7, [9], kind="unknown-id", says="queue 7 does not exist"),
    limit("allocate.alloc-kvpage", QUEUE, LONG, says=f"at most {MANY}"),
    wrong("allocate.dealloc-kvpage", QUEUE, [NOBODY], kind="unknown-id", says="page 99 was never allocated"),
    wrong("allocate.dealloc-kvpage", QUEUE, [0, 0], says="page 0 is named twice"),
    wrong("allocate.dealloc-kvpage", 7, [0], kind="unknown-id", says="queue 7"),
    limit("allocate.dealloc-kvpage", QUEUE, LONG, says=f"at most {MANY}"),
    wrong("allocate.alloc-emb", QUEUE, [50, 50], says="emb 50 is named twice"),
    wrong("allocate.alloc-emb", QUEUE, [0], says="emb 0 is allocated already"),
    wrong("allocate.alloc-emb", 7, [9], kind="unknown-id", says="queue 7"),
    limit("allocate.alloc-emb", QUEUE, LONG, says=f"at most {MANY}"),
    wrong("allocate.dealloc-emb", QUEUE, [NOBODY], kind="unknown-id", says="emb 99 was never allocated"),
    wrong("allocate.dealloc-emb", 7, [0], kind="unknown-id", says="queue 7"),
    limit("allocate.dealloc-emb", QUEUE, LONG, says=f"at most {MANY}"),
    wrong("allocate.copy-kvpage", QUEUE, [0], [1], [], says="copy_kvpage"),
    wrong(
        "allocate.copy-kvpage",
        QUEUE,
        [NOBODY],
        [1],
        [Code("allocate.Span(0, 0, 1)")],
        kind="unknown-id",
        says="page 99",
    ),
    wrong(
        "allocate.copy-kvpage",
        QUEUE,
        [0],
        [NOBODY],
        [Code("allocate.Span(0, 0, 1)")],
        kind="unknown-id",
        says="page 99",
    ),
    limit("allocate.copy-kvpage", QUEUE, [0], [1], [Code("allocate.Span(0, 1, 16)")], says="16"),
    limit(
        "allocate.copy-kvpage",
        QUEUE,
        [0],
        [1],
        [Code(f"allocate.Span({LARGEST}, 0, {LARGEST})")],
        says="copy_kvpage",
    ),
    wrong("allocate.fork-kvpage", QUEUE, [0], [1], says="page 1 is allocated already"),
    wrong("allocate.fork-kvpage", QUEUE, [0, 1], [9], says="fork_kvpage"),
    wrong("allocate.fork-kvpage", QUEUE, [NOBODY], [9], kind="unknown-id", says="page 99"),
    wrong("allocate.fork-kvpage", QUEUE, [0, 0], [9, 9], says="page 9 is named twice"),
    limit("allocate.fork-kvpage", QUEUE, LONG, LONG, says="at most"),
    wrong("allocate.export-kvpage", *export([], "x"), says="at least one page"),
    wrong("allocate.export-kvpage", *export([NOBODY], "x"), kind="unknown-id", says="page 99"),
    wrong("allocate.export-kvpage", *export([0], ""), says="a name of 0 characters"),
    wrong("allocate.export-kvpage", *export([0], "x", lease(-1.0)), says="a lease of -1"),
    wrong(
        "allocate.export-kvpage", *export([0], "x", Code("allocate.Lifetime_Lease(float('nan'))")), says="nan"
    ),
    limit("allocate.export-kvpage", *export([0], "x" * 257), says="a name of 257 characters"),
    limit("allocate.export-kvpage", *export([0], "x", lease(1e9)), says="at most 2.592e+06"),
    limit(
        "allocate.export-kvpage",
        QUEUE,
        [0],
        "x",
        WITH_ME,
        0,
        Code("bytes((1 << 20) + 1)"),
        says="1048577 bytes",
    ),
    wrong("allocate.import-kvpage", QUEUE, "nothing", [9], kind="unknown-id", says="nothing"),
    wrong("allocate.import-kvpage", QUEUE, "", [9], says="a name of 0 characters"),
    limit("allocate.import-kvpage", QUEUE, "nothing", LONG, says=f"at most {MANY}"),
    wrong("allocate.unexport-kvpage", MODEL, "nothing", kind="unknown-id", says="nothing"),
    wrong("allocate.unexport-kvpage", "nobody's", "x", kind="unknown-id", says="no model"),
    wrong("allocate.exported-kvpages", "nobody's", kind="unknown-id", says="no model"),
    wrong("allocate.find-kvpages", "nobody's", "x", kind="unknown-id", says="no model"),
    wrong("allocate.retain-kvpage", QUEUE, [NOBODY], 10, kind="unknown-id", says="page 99"),
    wrong("allocate.retain-kvpage", 7, [0], 10, kind="unknown-id", says="queue 7"),
    wrong("allocate.demote-kvpage", QUEUE, [NOBODY], kind="unknown-id", says="page 99"),
    wrong("allocate.prefetch-kvpage", QUEUE, [NOBODY], kind="unknown-id", says="page 99"),
    wrong("allocate.on-pressure", 7, kind="unknown-id", says="queue 7"),
    limit("allocate.on-pressure", LARGEST, kind="unknown-id", says="queue 4294967295"),
    wrong("allocate.take-pressure", NOBODY, kind="unknown-id", says="future 99"),
    limit("allocate.take-pressure", LARGEST, kind="unknown-id", says="future 4294967295"),
    limit("allocate.retain-kvpage", QUEUE, LONG, 10, kind="unknown-id", says="page 1000"),
    limit("allocate.demote-kvpage", QUEUE, LONG, kind="unknown-id", says="page 1000"),
    limit("allocate.prefetch-kvpage", QUEUE, LONG, kind="unknown-id", says="page 1000"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@call("allocate.kvpage-size", "right")
@call("allocate.kvpage-size", "limit")
async def test_a_page_holds_so_many_tokens(puppet: Puppet) -> None:
    assert await puppet.call("allocate.kvpage-size", MODEL) == 16
    with pytest.raises(Refused, match="no model"):
        await puppet.call("allocate.kvpage-size", Code("'m' * 100000"))


@call("allocate.alloc-kvpage", "right")
@call("allocate.dealloc-kvpage", "right")
@call("allocate.alloc-kvpage", "limit")
@call("allocate.dealloc-kvpage", "limit")
async def test_pages_of_any_number_are_taken_and_given_back(puppet: Puppet) -> None:
    names = [9, 1 << 20, LARGEST]
    await puppet.call("allocate.alloc-kvpage", QUEUE, names)
    await puppet.call("allocate.dealloc-kvpage", QUEUE, names)
    await puppet.call("allocate.alloc-kvpage", QUEUE, names)
    await puppet.call("allocate.alloc-kvpage", QUEUE, [])
    await puppet.call("allocate.dealloc-kvpage", QUEUE, [])
    with pytest.raises(Refused, match="page 4 was never"):
        await puppet.call("allocate.dealloc-kvpage", QUEUE, [4])


@call("allocate.dealloc-kvpage", "wrong")
async def test_a_page_that_was_freed_is_gone(puppet: Puppet) -> None:
    await puppet.call("allocate.dealloc-kvpage", QUEUE, [0])
    with pytest.raises(Refused, match="page 0 was freed"):
        await puppet.call("allocate.dealloc-kvpage", QUEUE, [0])


@call("allocate.alloc-kvpage", "limit")
async def test_more_pages_than_there_are_poison_the_queue_that_writes_them(puppet: Puppet) -> None:
    pages = list(range(10, 310))
    await puppet.call("allocate.alloc-kvpage", QUEUE, pages)
    with pytest.raises(Refused, match="page") as refused:
        for page in pages:
            await puppet.call("allocate.copy-kvpage", QUEUE, [0], [page], [Code("allocate.Span(0, 0, 16)")])
        await puppet.made("runtime.synchronize", QUEUE)
    assert refused.value.kind in ("out-of-resources", "queue-failed")
    await puppet.call("runtime.reset-queue", QUEUE)
    await puppet.call("allocate.dealloc-kvpage", QUEUE, pages)
    await puppet.made("runtime.synchronize", QUEUE)


@call("allocate.alloc-emb", "right")
@call("allocate.dealloc-emb", "right")
@call("allocate.alloc-emb", "limit")
async def test_embeddings_of_any_number_are_taken_and_given_back(puppet: Puppet) -> None:
    await puppet.call("allocate.alloc-emb", QUEUE, [50, LARGEST])
    await puppet.call("allocate.dealloc-emb", QUEUE, [50, LARGEST])
    await puppet.call("allocate.alloc-emb", QUEUE, [50, LARGEST])


@call("allocate.copy-kvpage", "right")
@call("allocate.fork-kvpage", "right")
@call("allocate.copy-kvpage", "limit")
async def test_a_copy_and_a_fork_answer_as_their_source_does(puppet: Puppet) -> None:
    await puppet.call("allocate.fork-kvpage", QUEUE, [0, 1], [10, 11])
    spans = Code(
        "[allocate.Span(0, 0, 16), allocate.Span(0, 0, 7), allocate.Span(7, 7, 9), allocate.Span(3, 3, 0)]"
    )
    await puppet.call("allocate.copy-kvpage", QUEUE, [0, 1, 1, 1], [2, 3, 3, 3], spans)
    answers = [await best_after(puppet, pages) for pages in ([0, 1], [10, 11], [2, 3], [0])]
    assert answers[0] == answers[1] == answers[2] != answers[3]


async def best_after(puppet: Puppet, pages: list[int]) -> object:
    """What follows token 5 after these pages."""
    await puppet.call("input-text.embed-txt", QUEUE, [5], [32], [1])
    await puppet.call("forward.forward", QUEUE, pages, [1], [], 0, [2], [], None)
    dist = await puppet.made("output-text.get-next-dist", QUEUE, 2, 4, [])
    return await puppet.call("output-text.dist-top", dist, 4)


@call("allocate.fork-kvpage", "right")
async def test_a_write_to_a_fork_does_not_touch_its_source(puppet: Puppet) -> None:
    before = await best_after(puppet, [0, 1])
    await puppet.call("allocate.fork-kvpage", QUEUE, [0], [10])
    await puppet.call("allocate.copy-kvpage", QUEUE, [1], [10], [Code("allocate.Span(0, 0, 16)")])
    assert await best_after(puppet, [0, 1]) == before != await best_after(puppet, [10, 1])


@call("allocate.export-kvpage", "right")
@call("allocate.import-kvpage", "right")
@call("allocate.find-kvpages", "right")
@call("allocate.exported-kvpages", "right")
@call("allocate.unexport-kvpage", "right")
async def test_pages_go_from_one_program_to_another_under_a_name(bench: Bench, puppet: Puppet) -> None:
    await puppet.call("allocate.export-kvpage", *export([0, 1], "text", lease(60.0), 0, b"tokens"))
    other = await bench.puppet()
    found = await other.call("allocate.find-kvpages", MODEL, "text")
    assert (found["pages"], found["about"]) == (2, b"tokens")
    assert 0 < found["seconds_left"] <= 60
    (listed,) = await other.call("allocate.exported-kvpages", MODEL)
    assert (listed["name"], listed["readers"]) == ("text", 0)
    await other.call("allocate.import-kvpage", QUEUE, "text", [20, 21])
    assert await best_after(other, [20, 21]) == await best_after(puppet, [0, 1])
    await puppet.call("allocate.unexport-kvpage", MODEL, "text")
    assert await other.call("allocate.find-kvpages", MODEL, "text") is None
    assert await best_after(other, [20, 21]) == await best_after(puppet, [0, 1])


@call("allocate.import-kvpage", "wrong")
async def test_an_imported_page_is_read_only_and_all_pages_of_a_name_come_together(puppet: Puppet) -> None:
    await puppet.call("allocate.export-kvpage", *export([0, 1], "text"))
    with pytest.raises(Refused, match="2"):
        await puppet.call("allocate.import-kvpage", QUEUE, "text", [20])
    await puppet.call("allocate.import-kvpage", QUEUE, "text", [20, 21])
    with pytest.raises(Refused, match="fork_kvpage it"):
        await puppet.call("allocate.copy-kvpage", QUEUE, [0], [20], [Code("allocate.Span(0, 0, 1)")])
    with pytest.raises(Refused, match="the name 'text' is in use"):
        await puppet.call("allocate.export-kvpage", *export([0], "text"))


@call("allocate.export-kvpage", "right")
@call("allocate.exported-kvpages", "limit")
@call("allocate.find-kvpages", "limit")
async def test_a_name_goes_with_its_program_and_is_not_seen_by_other_tenants(
    bench: Bench, puppet: Puppet
) -> None:
    await puppet.call("allocate.export-kvpage", *export([0], "mine"))
    stranger = await bench.puppet(tenant="others")
    assert await stranger.call("allocate.find-kvpages", MODEL, "mine") is None
    assert await stranger.call("allocate.exported-kvpages", MODEL) == []
    friend = await bench.puppet()
    assert [each["name"] for each in await friend.call("allocate.exported-kvpages", MODEL)] == ["mine"]
    await puppet.end()
    assert await friend.call("allocate.find-kvpages", MODEL, "mine") is None


@call("allocate.unexport-kvpage", "limit")
async def test_a_lease_can_be_taken_back_by_anybody_of_the_tenant_after_its_program(bench: Bench) -> None:
    owner = await bench.puppet()
    await owner.call("allocate.export-kvpage", *export([0], "lasting", lease(60.0)))
    await owner.end()
    friend = await bench.puppet(scene=False)
    assert await friend.call("allocate.find-kvpages", MODEL, "lasting")
    await friend.call("allocate.unexport-kvpage", MODEL, "lasting")
    assert await friend.call("allocate.exported-kvpages", MODEL) == []


@call("allocate.retain-kvpage", "right")
@call("allocate.demote-kvpage", "right")
@call("allocate.prefetch-kvpage", "right")
async def test_a_hint_is_answered_honestly(puppet: Puppet) -> None:
    answers = {"accepted", "clipped", "deferred", "rejected"}
    assert await puppet.call("allocate.retain-kvpage", QUEUE, [0, 1], 1000) in answers
    assert await puppet.call("allocate.demote-kvpage", QUEUE, [0]) in answers
    assert await puppet.call("allocate.prefetch-kvpage", QUEUE, [0]) in answers


@call("allocate.retain-kvpage", "limit")
async def test_a_time_that_is_too_long_is_clipped(puppet: Puppet) -> None:
    assert await puppet.call("allocate.retain-kvpage", QUEUE, [0], 2**63) in ("clipped", "rejected")


@call("allocate.on-pressure", "right")
@call("allocate.take-pressure", "right")
async def test_a_program_is_told_when_others_find_no_page(bench: Bench, puppet: Puppet) -> None:
    future = await puppet.call("allocate.on-pressure", QUEUE)
    greedy = await bench.puppet()
    new = list(range(10, 10 + 252))
    await greedy.call("allocate.alloc-kvpage", QUEUE, new)
    spans = Code("[allocate.Span(src_offset=0, dst_offset=0, length=1)] * 252")
    await greedy.call("allocate.copy-kvpage", QUEUE, [0] * 252, new, spans)
    await greedy.call("allocate.alloc-kvpage", QUEUE, [500])
    one = Code("[allocate.Span(src_offset=0, dst_offset=0, length=1)]")
    await greedy.call("allocate.copy-kvpage", QUEUE, [0], [500], one)
    assert await puppet.call("allocate.take-pressure", future) == 1


@call("allocate.take-pressure", "wrong")
async def test_a_future_of_something_else_tells_nothing_about_pages(puppet: Puppet) -> None:
    future = await puppet.made("runtime.sleep", 1)
    with pytest.raises(Refused, match="it is not of on_pressure"):
        await puppet.call("allocate.take-pressure", future)
