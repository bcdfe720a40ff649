"""What goes into a pass, and in which order."""

import pytest
from world import PAGE_SIZE, Program, World, all_back, page_names

from pie.control import ControlSettings
from pie.core.commands import CopyPages, MaskPage, Span
from pie.core.errors import InvalidArgument, OutOfResources, UnknownId
from pie.core.ids import VirtualPage
from pie.testing import fake_spec


def kinds(world: World) -> list[str]:
    """For each pass, the parts it has: c(opies) m(asks) e(mbeds) f(orwards) d(ists)."""
    return [
        "".join(
            letter
            for letter, column in zip(
                "cmefd",
                (work.copies, work.page_masks, work.embed_slots, work.inputs, work.dist_slots),
                strict=True,
            )
            if column
        )
        for work in world.passes
    ]


def decoding(world: World, name: str = "a") -> Program:
    """A program with two tokens in page 1, embs 0 to 2."""
    program = world.program(name)
    program.prefill([5, 6], [1], f"{name} prefill")
    world.run()
    world.passes.clear()
    return program


def test_a_decode_step_is_one_pass(world: World) -> None:
    program = decoding(world)
    program.step(7, 2, [1], "next")
    program.free([], [0, 1, 2])
    world.pump()
    assert kinds(world) == ["efd"]
    assert world.free_embs == world.spec.embs
    assert world.recorder.dist("next").tokens


def test_without_fusing_a_pass_has_one_kind_of_command() -> None:
    world = World(ControlSettings(fuse=False))
    program = decoding(world)
    program.step(7, 2, [1], "next")
    world.pump()
    assert kinds(world) == ["e", "f", "d"]


def test_fusing_and_not_fusing_give_the_same_answer() -> None:
    answers = []
    for fuse in (True, False):
        world = World(ControlSettings(fuse=fuse))
        program = decoding(world)
        program.step(7, 2, [1], "next")
        world.pump()
        answers.append(world.recorder.dist("next"))
    assert answers[0] == answers[1]


def test_steps_of_several_programs_share_a_pass_and_get_the_answers_they_get_alone() -> None:
    alone, together = World(), World(auto=False)
    for name in "abc":
        decoding(alone, name).step(7, 2, [1], name)
        alone.pump()
    programs = [decoding(together, name) for name in "abc"]
    for program in programs:
        program.step(7, 2, [1], program.name)
    together.run()
    assert kinds(together) == ["efd"]
    for name in "abc":
        assert together.recorder.dist(name) == alone.recorder.dist(name)


def test_independent_steps_of_one_queue_share_a_pass(world: World) -> None:
    program = world.program()
    program.alloc([1, 2], [1, 2, 3, 4])
    for page, (source, target) in ((1, (1, 3)), (2, (2, 4))):
        program.embed([5], [0], [source])
        program.forward([source], [], [page], 0, [target])
        program.dist(target, f"page {page}")
    world.pump()
    assert kinds(world) == ["efd"]


def test_a_pass_without_shared_pages_copies_nothing_and_names_each_new_page_once(world: World) -> None:
    program = world.program()
    program.prefill([5, 6, 7, 8, 9], [1, 2], "d")
    world.pump()
    (work,) = world.passes
    assert not work.copies
    assert len(work.fresh_pages) == len({*work.fresh_pages}) == 2
    first, second = work.fresh_pages
    offsets = [first * PAGE_SIZE + i for i in range(4)] + [second * PAGE_SIZE]
    assert list(work.targets) == offsets


def test_an_offset_beyond_the_first_page_leaves_that_page_alone(world: World) -> None:
    program = world.program()
    program.alloc([1, 2, 3], [1])
    program.embed([5], [0], [1])
    program.forward([1], okv=[1, 2, 3], offset=PAGE_SIZE + 2)
    world.pump()
    (work,) = world.passes
    assert len(work.fresh_pages) == 1
    assert list(work.targets) == [work.fresh_pages[0] * PAGE_SIZE + 2]


def test_pages_without_content_are_not_read_unless_a_mask_counts_them(world: World) -> None:
    program = decoding(world)
    program.alloc([2, 3])
    program.embed([7], [2], [0])
    program.forward([0], ikv=[2, 1, 3])
    program.forward([0], ikv=[2, 1], mask=[[0, 2 * PAGE_SIZE + 1]])
    world.pump()
    (work,) = world.passes
    rows = [
        work.read_pages[work.read_starts[i] : work.read_starts[i + 1]]
        for i in range(len(work.read_starts) - 1)
    ]
    assert [len(row) for row in rows] == [1, 2]
    assert work.fresh_pages == rows[1][:1]


def test_a_forward_that_reads_what_the_pass_writes_waits_for_the_next_pass(world: World) -> None:
    program = world.program()
    program.alloc([1], [1, 2])
    program.embed([5, 6], [0, 1], [1, 2])
    program.forward([1], okv=[1])
    program.forward([2], ikv=[1], okv=[1], offset=1)
    world.pump()
    assert kinds(world) == ["ef", "f"]


def test_a_forward_that_writes_what_another_of_the_pass_reads_waits(world: World) -> None:
    program = decoding(world)
    program.embed([7, 8], [2, 2], [0, 2])
    program.forward([0], ikv=[1])
    program.forward([2], okv=[1], offset=2)
    world.pump()
    assert kinds(world) == ["ef", "f"]


def test_an_embed_into_an_emb_that_the_pass_reads_waits(world: World) -> None:
    program = decoding(world)
    program.embed([7], [2], [0])
    program.forward([0], ikv=[1], oemb=[1])
    program.dist(1, "first")
    program.embed([8], [2], [0])
    program.forward([0], ikv=[1], oemb=[2])
    program.dist(2, "second")
    world.pump()
    assert kinds(world) == ["efd", "efd"]
    assert world.recorder.dist("first") != world.recorder.dist("second")


def test_a_hidden_state_can_be_an_input_in_the_next_pass(world: World) -> None:
    program = decoding(world)
    program.embed([7], [2], [0])
    program.forward([0], ikv=[1], oemb=[0])
    program.forward([0], ikv=[1], oemb=[1])
    program.dist(1, "d")
    world.pump()
    assert kinds(world) == ["ef", "fd"]


def test_an_output_whose_old_value_is_still_to_be_scored_waits(world: World) -> None:
    program = decoding(world)
    program.embed([7], [2], [0])
    program.dist(2, "old")
    program.forward([0], ikv=[1], oemb=[2])
    program.dist(2, "new")
    world.pump()
    assert kinds(world) == ["ed", "fd"]
    assert world.recorder.dist("old") == world.recorder.dist("a prefill")
    assert world.recorder.dist("new") != world.recorder.dist("old")


def test_a_write_to_a_shared_page_copies_it_first(world: World) -> None:
    program = decoding(world)
    program.fork([1], [2])
    program.step(7, 2, [2], "child")
    program.step(7, 2, [1], "parent")
    world.pump()
    assert kinds(world) == ["cefd", "efd"]
    assert list(world.passes[0].copies[1::2]) == [0, 0]
    assert world.recorder.dist("child") == world.recorder.dist("parent")


def test_a_write_to_a_page_that_nobody_shares_any_more_copies_nothing(world: World) -> None:
    program = decoding(world)
    program.fork([1], [2])
    program.free([1])
    program.step(7, 2, [2], "child")
    world.pump()
    assert kinds(world) == ["efd"]


def test_a_fork_of_what_the_pass_writes_is_copied_in_the_next_pass(world: World) -> None:
    program = decoding(world)
    program.step(7, 2, [1], "parent")
    program.fork([1], [2])
    program.embed([8], [3], [2])
    program.forward([2], [2], [2], 3)
    world.pump()
    assert kinds(world) == ["efd", "cf"]


def test_copies_and_masks_ride_with_the_forward_that_needs_them(world: World) -> None:
    program = decoding(world)
    program.alloc([2])
    program.submit(CopyPages(page_names([1]), page_names([2]), [Span(0, 0, 2)]))
    program.submit(MaskPage(VirtualPage(2), 0b01))
    program.step(7, 2, [2], "d")
    world.pump()
    assert kinds(world) == ["cmefd"]


def test_a_copy_of_a_page_that_the_pass_masks_waits(world: World) -> None:
    program = decoding(world)
    program.alloc([2])
    program.submit(MaskPage(VirtualPage(1), 0b01))
    program.submit(CopyPages(page_names([1]), page_names([2]), [Span(0, 0, 2)]))
    world.pump()
    assert kinds(world) == ["m", "c"]


def test_the_highest_bit_of_a_mask_crosses_as_a_signed_number() -> None:
    world = World(spec=fake_spec(page_size=32))
    program = world.program()
    program.alloc([1])
    program.submit(MaskPage(VirtualPage(1), 0xFFFFFFFE))
    world.pump()
    assert list(world.passes[0].page_masks[1:]) == [-2]


def test_freed_pages_are_given_away_only_after_the_pass_that_freed_them(slow: World) -> None:
    program = decoding(slow)
    program.session.set_priority(program.queue, 1)
    program.step(7, 2, [1], "d")
    program.free([1])
    stranger = slow.program("stranger")
    stranger.prefill([9], [1], "s")
    slow.pump()
    (work,) = slow.passes
    freed, taken = (target // PAGE_SIZE for target in work.targets)
    assert freed != taken
    assert list(work.fresh_pages) == [taken]


def test_a_queue_waits_for_pages_that_the_pass_frees_instead_of_failing() -> None:
    world = World(spec=fake_spec(pages=1, page_size=PAGE_SIZE))
    program = decoding(world)
    program.step(7, 2, [1], "first")
    program.free([1], [0, 1, 2])
    program.prefill([9], [1], "second")
    world.pump()
    assert kinds(world) == ["efd", "fd"]
    assert world.recorder.dist("second").tokens


def test_out_of_pages_fails_the_queue_with_how_many_are_free_and_nobody_else() -> None:
    world = World(spec=fake_spec(pages=2, page_size=PAGE_SIZE), auto=False)
    good = decoding(world, "good")
    greedy = world.program("greedy")
    greedy.prefill(range(2 * PAGE_SIZE), [1, 2], "too much")
    good.step(7, 2, [1], "fine")
    world.run()
    error = world.recorder.error("too much")
    assert isinstance(error, OutOfResources)
    assert "2 pages are needed, 1 of 2 are free" in str(error)
    assert world.recorder.dist("fine").tokens
    assert all_back(greedy.session, world) is False
    assert all_back(good.session, world)


def test_what_was_sent_before_a_failure_still_answers(world: World) -> None:
    program = decoding(world)
    program.step(7, 2, [1], "good")
    program.alloc([], [9])
    program.dist(9, "bad")
    program.dist(1, "late")
    world.pump()
    assert world.recorder.dist("good").tokens
    assert isinstance(world.recorder.error("bad"), InvalidArgument)
    assert "emb 9 is read before anything was written" in str(world.recorder.error("bad"))
    assert world.recorder.error("late") is world.recorder.error("bad")


def test_a_page_freed_by_another_queue_is_an_error_and_never_someone_elses_page(slow: World) -> None:
    program = decoding(slow)
    other = program.session.create_queue("fake")
    program.step(7, 2, [1], "running")
    slow.pump()
    program.embed([8], [3], [2])
    program.forward([2], ikv=[1], oemb=[2])
    program.dist(2, "late")
    program.free([1], queue=other)
    slow.run()
    assert slow.recorder.dist("running").tokens
    assert "page 1 was freed by another queue before this command ran" in str(slow.recorder.error("late"))


def test_a_forward_with_more_tokens_than_the_budget_goes_alone() -> None:
    world = World(ControlSettings(max_batch_tokens=3), auto=False)
    small, big = world.program("small"), world.program("big")
    big.prefill(range(5), [1, 2], "big")
    small.prefill(range(2), [1], "small")
    world.run()
    assert [len(work.inputs) for work in world.passes] == [5, 2]


def test_passes_are_filled_up_to_the_budget_across_queues() -> None:
    world = World(ControlSettings(max_batch_tokens=4), auto=False)
    for name in "abcd":
        world.program(name).prefill(range(2), [1], name)
    world.run()
    assert [len(work.inputs) for work in world.passes] == [4, 4]


def test_a_pass_has_a_bounded_number_of_distributions() -> None:
    world = World(ControlSettings(max_batch_dists=2), auto=False)
    program = decoding(world)
    for i in range(5):
        program.dist(2, f"d{i}")
    world.run()
    assert [len(work.dist_slots) for work in world.passes] == [2, 2, 1]


def test_a_long_prompt_is_not_starved_by_short_steps() -> None:
    world = World(ControlSettings(max_batch_tokens=4), auto=False)
    steppers = [decoding(world, name) for name in "ab"]
    big = world.program("big")
    for i in range(6):
        for program in steppers:
            program.embed([7], [2], [0])
            program.forward([0], ikv=[1], oemb=[1])
            program.dist(1, f"{program.name}{i}")
    big.prefill(range(4), [1], "big")
    world.run()
    assert world.recorder.labels.index("big") <= world.recorder.labels.index("b1") + 1


def test_higher_priority_goes_first_and_the_rest_in_turn() -> None:
    world = World(ControlSettings(max_batch_tokens=1), auto=False)
    programs = [decoding(world, name) for name in "abc"]
    programs[2].session.set_priority(programs[2].queue, 1)
    for program in programs:
        for i in range(2):
            program.embed([7], [2], [i])
            program.forward([i], ikv=[1], oemb=[2])
            program.dist(2, f"{program.name}{i}")
    world.recorder.events.clear()
    world.run()
    assert world.recorder.labels == ["c0", "c1", "a0", "b0", "a1", "b1"]


def test_a_low_priority_is_served_when_it_was_left_out_for_long() -> None:
    world = World(ControlSettings(max_batch_tokens=1, patience=3), auto=False)
    low, high = decoding(world, "low"), decoding(world, "high")
    high.session.set_priority(high.queue, 1)
    world.recorder.events.clear()
    for program in (high, low):
        for i in range(6):
            program.embed([7], [2], [0])
            program.forward([0], ikv=[1], oemb=[1])
            program.dist(1, f"{program.name}{i}")
    world.run()
    assert world.recorder.labels.index("low0") < world.recorder.labels.index("high5")


def test_only_one_pass_is_in_flight_by_default(slow: World) -> None:
    first, second = decoding(slow, "first"), decoding(slow, "second")
    first.step(7, 2, [1], "1")
    slow.pump()
    second.step(7, 2, [1], "2")
    slow.pump()
    assert slow.driver.in_flight == 1
    slow.clock.advance(1.0)
    assert slow.driver.in_flight == 1
    assert slow.recorder.labels[-1] == "1"


def test_with_more_passes_in_flight_a_queue_runs_ahead_of_the_driver() -> None:
    world = World(ControlSettings(passes_in_flight=2), auto=False)
    program = world.program()
    program.alloc([1], [1, 2])
    program.embed([5, 6], [0, 1], [1, 2])
    program.forward([1], okv=[1])
    program.forward([2], ikv=[1], okv=[1], offset=1, oemb=[1])
    program.dist(1, "ahead")
    world.pump()
    assert world.driver.in_flight == 2
    world.run()
    twin = World().program()
    twin.prefill([5, 6], [1], "d")
    twin.world.pump()
    assert world.recorder.dist("ahead") == twin.world.recorder.dist("d")


def test_synchronize_completes_when_everything_before_it_is_done(slow: World) -> None:
    program = decoding(slow)
    slow.recorder.events.clear()
    program.synchronize("idle")
    slow.pump()
    program.step(7, 2, [1], "step")
    program.synchronize("queued")
    slow.pump()
    program.synchronize("in flight")
    slow.pump()
    assert slow.recorder.labels == ["idle"]
    slow.run()
    assert slow.recorder.labels == ["idle", "step", "queued", "in flight"]


def test_any_command_can_have_a_completion(slow: World) -> None:
    program = decoding(slow)
    program.submit(MaskPage(VirtualPage(1), 1), "masked")
    slow.pump()
    with pytest.raises(KeyError):
        slow.recorder["masked"]
    slow.run()
    assert slow.recorder["masked"].error is None


def test_what_needs_no_driver_happens_while_the_driver_is_busy(slow: World) -> None:
    busy, other = decoding(slow, "busy"), decoding(slow, "other")
    busy.step(7, 2, [1], "step")
    slow.pump()
    free = slow.free_pages
    other.free([1])
    slow.pump()
    assert slow.free_pages == free + 1


def test_unknown_means_unknown(world: World) -> None:
    program = decoding(world)
    program.free([1])
    with pytest.raises(UnknownId):
        program.step(7, 2, [1], "d")
