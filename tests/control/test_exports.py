"""Pages under names: snapshots that a tenant's programs share, with leases, a budget and eviction."""

from collections.abc import Sequence

import pytest
from naive import NaivePage
from world import PAGE_SIZE, Program, World, all_back, page_names

from pie.control import ControlSettings
from pie.core.commands import CopyPages, Exported, ExportPages, ImportPages, MaskPage, Span
from pie.core.errors import InvalidArgument, LimitExceeded, OutOfResources, Unavailable, UnknownId
from pie.core.ids import VirtualPage
from pie.core.programs import Limits
from pie.testing import fake_spec

PAGE_BYTES = 1000


@pytest.fixture
def world() -> World:
    return World(ControlSettings(export_bytes=10 * PAGE_BYTES))


def export(
    program: Program,
    pages: Sequence[int],
    name: str = "x",
    seconds: float | None = None,
    max_bytes: int = 0,
    about: bytes = b"",
) -> None:
    program.submit(ExportPages(page_names(pages), name, seconds, max_bytes, about))


def map_pages(program: Program, pages: Sequence[int], name: str = "x") -> None:
    program.submit(ImportPages(name, page_names(pages)))


def find(program: Program, name: str = "x") -> Exported | None:
    return program.session.exports("fake").find(name)


def unexport(program: Program, name: str = "x") -> None:
    program.session.exports("fake").unexport(name)


def contents(program: Program, page: int) -> NaivePage:
    """What the driver has in a page now."""
    (space,) = program.session._spaces.values()
    place = space.pages.find([VirtualPage(page)])[0].physical
    found = NaivePage.empty(PAGE_SIZE)
    if place is not None:
        there = program.world.executor.pages[place]
        found.tokens = [there.tokens.get(i) for i in range(PAGE_SIZE)]
        found.visible = [bool(there.visible >> i & 1) for i in range(PAGE_SIZE)]
    return found


def writer(world: World, name: str = "writer", seconds: float | None = None) -> Program:
    """A program with six tokens in pages 0 and 1, exported as "x"."""
    program = world.program(name)
    program.prefill([5, 6, 7, 8, 9, 10], [0, 1], "first")
    export(program, [0, 1], seconds=seconds)
    world.run()
    return program


def test_what_is_exported_can_be_found_and_mapped_by_another_program(world: World) -> None:
    one = writer(world)
    export(one, [0], "short", about=b"tokens")
    world.run()
    other = world.program("reader")
    assert find(other) == Exported("x", 2, 2 * PAGE_BYTES, b"", None, 0)
    assert find(other, "nothing") is None
    assert [exported.name for exported in other.session.exports("fake").list()] == ["x", "short"]
    assert other.session.exports("fake").list()[1].about == b"tokens"
    held = world.free_pages
    map_pages(other, [7, 3])
    assert world.free_pages == held, "an import takes no memory"
    assert [contents(other, 7), contents(other, 3)] == [contents(one, 0), contents(one, 1)]
    assert find(other) == Exported("x", 2, 2 * PAGE_BYTES, b"", None, 1)
    other.free([7])
    world.run()
    other.free([3])
    world.run()
    assert find(one) == Exported("x", 2, 2 * PAGE_BYTES, b"", None, 0)


def test_imported_pages_are_read_like_own_ones(world: World) -> None:
    one = writer(world)
    other = world.program("reader")
    map_pages(other, [0, 1])
    for program in (one, other):
        program.alloc(embs=[20, 21])
        program.embed([11], [6], [20])
        program.forward([20], [0, 1], oemb=[21])
        program.dist(21, f"{program.name} answers")
    world.run()
    assert world.recorder.dist("writer answers") == world.recorder.dist("reader answers")


def test_an_export_is_a_snapshot_whatever_its_owner_does_later(world: World) -> None:
    one = writer(world)
    other = world.program("reader")
    map_pages(other, [0, 1])
    before = [contents(other, page) for page in (0, 1)]
    one.step(99, 6, [0, 1], "more")
    one.submit(MaskPage(VirtualPage(0), 0b0101))
    one.submit(CopyPages(page_names([0]), page_names([1]), [Span(0, 0, 2)]))
    world.run()
    assert [contents(other, page) for page in (0, 1)] == before
    assert contents(one, 0) != before[0]
    assert contents(one, 1) != before[1]


def test_the_snapshot_is_of_what_was_queued_before(world: World) -> None:
    """Also when the forward that fills the page rides in the same pass, and more is queued behind."""
    one = world.program("writer")
    one.alloc([0], range(4))
    one.embed([1, 2], [0, 1], [0, 1])
    one.forward([0, 1], okv=[0])
    export(one, [0])
    one.embed([3], [2], [2])
    one.forward([2], [0], okv=[0], offset=2)
    world.run()
    other = world.program("reader")
    map_pages(other, [0])
    assert [token is not None for token in contents(other, 0).tokens] == [True, True, False, False]
    assert [token is not None for token in contents(one, 0).tokens] == [True, True, True, False]


def test_hidden_tokens_stay_hidden_in_an_export(world: World) -> None:
    one = world.program("writer")
    one.prefill([5, 6], [0], "first")
    one.submit(MaskPage(VirtualPage(0), 0b0010))
    export(one, [0])
    world.run()
    other = world.program("reader")
    map_pages(other, [0])
    assert contents(other, 0).visible == [False, True, False, False]


def test_pages_in_which_nothing_was_written_can_be_exported(world: World) -> None:
    one = world.program("writer")
    one.alloc([0])
    export(one, [0])
    world.run()
    other = world.program("reader")
    map_pages(other, [5])
    assert contents(other, 5) == NaivePage.empty(PAGE_SIZE)


@pytest.mark.parametrize("call", ["forward", "copy_kvpage", "mask_kvpage"])
def test_writing_an_imported_page_is_refused_with_the_remedy(world: World, call: str) -> None:
    writer(world)
    other = world.program("reader")
    map_pages(other, [4, 5])
    other.alloc([9], [0])
    other.embed([1], [0], [0])
    with pytest.raises(InvalidArgument) as caught:
        if call == "forward":
            other.forward([0], okv=[4])
        elif call == "copy_kvpage":
            other.submit(CopyPages(page_names([9]), page_names([4]), [Span(0, 0, 1)]))
        else:
            other.submit(MaskPage(VirtualPage(4), 1))
    assert str(caught.value) == (
        f"{call}: page 4 was imported from 'x' and is read-only: fork_kvpage it and write to the fork"
    )


def test_the_remedy_works_and_touches_nobody_elses_pages(world: World) -> None:
    one = writer(world)
    other = world.program("reader")
    map_pages(other, [4, 5])
    other.fork([5], [6])
    other.alloc(embs=[0])
    other.embed([1], [6], [0])
    other.forward([0], [4, 6], okv=[6], offset=2)
    other.submit(CopyPages(page_names([5]), page_names([6]), [Span(0, 3, 1)]))
    world.run()
    assert contents(other, 6) != contents(other, 5)
    assert contents(other, 5) == contents(one, 1)


def test_imports_outlive_their_export_and_its_owner(world: World) -> None:
    one = writer(world)
    before = contents(one, 0)
    other = world.program("reader")
    map_pages(other, [0, 1])
    unexport(other)
    assert find(other) is None
    one.session.close()
    world.run()
    assert contents(other, 0) == before
    assert all_back(other.session, world)


def test_a_name_lives_with_its_program_or_as_long_as_its_lease(world: World) -> None:
    one = writer(world)
    export(one, [1], "lasting", seconds=60)
    world.run()
    one.session.close()
    other = world.program("reader")
    assert [exported.name for exported in other.session.exports("fake").list()] == ["lasting"]
    world.clock.advance(20)
    assert find(other, "lasting") == Exported("lasting", 1, PAGE_BYTES, b"", 40, 0)
    world.clock.advance(50)
    assert find(other, "lasting") == Exported("lasting", 1, PAGE_BYTES, b"", 0, 0), "expired is not gone"
    map_pages(other, [0], "lasting")
    unexport(other, "lasting")
    assert all_back(other.session, world)


def test_a_name_that_waits_in_a_queue_is_taken_but_not_there_yet() -> None:
    world = World(auto=False)
    one, other = world.program("writer"), world.program("reader")
    one.prefill([5, 6], [0], "first")
    export(one, [0])
    assert find(one) is None
    assert one.session.exports("fake").list() == []
    with pytest.raises(UnknownId, match="synchronize the queue that exports it"):
        map_pages(other, [0])
    with pytest.raises(InvalidArgument, match="the name 'x' is in use"):
        export(one, [0])
    one.session.reset(one.queue)
    export(one, [0])
    world.run()
    map_pages(other, [0])


def test_a_name_whose_queue_failed_is_free_again(world: World) -> None:
    one = world.program("writer")
    one.alloc([0], [0])
    one.dist(0, "read before it is written")
    export(one, [0])
    world.run()
    with pytest.raises(UnknownId, match="nothing is exported as 'x'"):
        unexport(one)


def test_wrong_uses_say_what_is_wrong(world: World) -> None:
    one = writer(world)
    foreign = world.program("foreigner", tenant="other")
    assert find(foreign) is None
    with pytest.raises(UnknownId, match="import_kvpage: nothing is exported as 'x'"):
        map_pages(foreign, [0, 1])
    with pytest.raises(UnknownId, match="unexport_kvpage: nothing is exported as 'x'"):
        unexport(foreign)
    with pytest.raises(InvalidArgument, match="'x' has 2 pages, 1 ids were given"):
        map_pages(one, [7])
    with pytest.raises(InvalidArgument, match="page 0 is allocated already"):
        map_pages(one, [7, 0])
    with pytest.raises(InvalidArgument, match="at least one page"):
        export(one, [], "y")
    with pytest.raises(UnknownId, match="page 9 was never allocated"):
        export(one, [9], "y")
    with pytest.raises(InvalidArgument, match="a name of 0 characters"):
        export(one, [0], "")
    with pytest.raises(InvalidArgument, match="a name of 300 characters"):
        export(one, [0], "y" * 300)
    with pytest.raises(InvalidArgument, match="bytes in about"):
        export(one, [0], "y", about=bytes((1 << 20) + 1))
    for seconds in (0.0, -1.0, float("nan"), float("inf"), 1e30):
        with pytest.raises(InvalidArgument, match="a lease of"):
            export(one, [0], "y", seconds)
    with pytest.raises(LimitExceeded, match="2000 bytes, more than the max_bytes of 1999"):
        export(one, [0, 1], "y", 5, max_bytes=1999)
    export(one, [0, 1], "y", 5, max_bytes=2000)
    export(foreign_page(foreign), [0])


def foreign_page(program: Program) -> Program:
    """The same name is free in another tenant's namespace."""
    program.alloc([0])
    return program


def test_lasting_names_share_a_budget_and_expired_ones_make_room(world: World) -> None:
    one = writer(world, seconds=10)
    for i in range(4):
        export(one, [0, 1], f"more {i}", seconds=20)
    world.run()
    with pytest.raises(LimitExceeded, match="would exceed the budget of 10000 bytes"):
        export(one, [0], "one more", seconds=20)
    export(one, [0], "with me")
    world.clock.advance(15)
    export(one, [0], "one more", seconds=20)
    assert find(one) is None
    with pytest.raises(LimitExceeded, match="would exceed"):
        export(one, [0, 1], "too much", seconds=20)
    unexport(one, "more 2")
    export(one, [0, 1], "now it fits", seconds=20)


def test_a_tenants_names_are_bounded() -> None:
    world = World(ControlSettings(max_exports=2))
    one = writer(world)
    export(one, [0], "y")
    with pytest.raises(LimitExceeded, match="2 names already"):
        export(one, [0], "z")


def test_names_count_against_the_pages_that_a_program_may_hold() -> None:
    world = World()
    one = world.program("writer", Limits(pages=3))
    one.alloc([0, 1])
    export(one, [0])
    with pytest.raises(LimitExceeded, match="more than the 3"):
        export(one, [0], "y")
    one.free([0])
    with pytest.raises(LimitExceeded, match="more than the 3"):
        one.alloc([2, 3])
    unexport(one)
    one.alloc([2, 3])


def full_world() -> tuple[World, Program]:
    """Six pages, four of them exported with leases that end one after the other; the program is gone."""
    world = World(spec=fake_spec(pages=6, embs=64, page_size=PAGE_SIZE))
    one = world.program("writer")
    for i, seconds in enumerate((30, 10, 20, 10_000)):
        one.prefill([5, 6, 7], [i], f"fill {i}")
        one.free(embs=range(4))
        export(one, [i], f"after {seconds}", seconds)
    world.run()
    one.session.close()
    assert world.free_pages == 2
    return world, world.program("reader")


def names(program: Program) -> list[str]:
    return [exported.name for exported in program.session.exports("fake").list()]


def test_when_pages_run_out_expired_exports_go_first_oldest_expiry_first() -> None:
    world, other = full_world()
    world.clock.advance(100)
    other.prefill(range(12), [0, 1, 2], "needs three pages")
    world.run()
    assert world.recorder.dist("needs three pages")
    assert names(other) == ["after 30", "after 20", "after 10000"]
    other.alloc([3], [20])
    other.embed([1], [12], [20])
    other.forward([20], [0, 1, 2], okv=[3])
    world.run()
    assert names(other) == ["after 30", "after 10000"]


def test_leases_that_have_not_ended_are_not_evicted() -> None:
    world, other = full_world()
    other.prefill(range(12), [0, 1, 2], "needs three pages")
    world.run()
    assert isinstance(world.recorder.error("needs three pages"), OutOfResources)
    assert len(names(other)) == 4


def test_expired_exports_that_would_free_nothing_are_kept() -> None:
    world, other = full_world()
    map_pages(other, [9], "after 10")
    world.clock.advance(15)
    other.prefill(range(12), [0, 1, 2], "needs three pages")
    world.run()
    assert isinstance(world.recorder.error("needs three pages"), OutOfResources)
    assert "after 10" in names(other)


def test_a_dead_driver_takes_exports_with_it_and_import_says_so(world: World) -> None:
    one = writer(world, seconds=100)
    world.driver.kill()
    world.restore()
    other = world.program("reader")
    assert find(other) is None
    assert names(other) == []
    with pytest.raises(Unavailable, match=r"'x' were lost .* compute and export them again"):
        map_pages(other, [0, 1])
    one.session.reset(one.queue)
    one.alloc([7])
    export(one, [7])
    world.run()
    map_pages(other, [0])


def test_a_failed_pass_takes_the_exports_of_what_it_wrote_with_it() -> None:
    world = World(auto=False)
    one, other = world.program("writer"), world.program("reader")
    one.prefill([5, 6], [0], "first")
    export(one, [0])
    world.pump()
    map_pages(other, [0])
    world.driver.fail_next("asked for")
    world.run()
    with pytest.raises(Unavailable, match="were lost"):
        map_pages(other, [1])


def test_everything_is_back_when_exports_and_programs_are_gone(world: World) -> None:
    one = writer(world, seconds=5)
    other = world.program("reader")
    map_pages(other, [0, 1])
    one.session.close()
    assert all_back(other.session, world) is False, "the lasting name holds its pages"
    last = world.program("last")
    unexport(last)
    assert all_back(last.session, world)


@pytest.mark.parametrize(
    ("hint", "ttl_ms", "answer"),
    [
        ("retain", 1000, "accepted"),
        ("retain", 10**9, "clipped"),
        ("demote", 0, "rejected"),
        ("prefetch", 0, "accepted"),
    ],
)
def test_hints_are_answered_as_things_are(world: World, hint: str, ttl_ms: int, answer: str) -> None:
    one = writer(world)
    assert one.session.hint(one.queue, hint, page_names([0, 1]), ttl_ms) == answer  # type: ignore[arg-type]
    with pytest.raises(UnknownId, match="page 8 was never allocated"):
        one.session.hint(one.queue, hint, page_names([8]), ttl_ms)  # type: ignore[arg-type]


def test_pages_that_were_lost_cannot_be_retained(world: World) -> None:
    one = writer(world)
    world.driver.kill()
    world.restore()
    one.session.reset(one.queue)
    assert one.session.hint(one.queue, "retain", page_names([0]), 1000) == "rejected"
