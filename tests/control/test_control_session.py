"""What a program has, and how all of it goes back."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import PAGE_SIZE, Program, World, all_back, page_names

from pie.core.commands import CopyPages, MaskPage, Span
from pie.core.errors import WrongState
from pie.core.ids import InstanceId, VirtualPage
from pie.core.programs import Limits


def a_bit_of_everything(program: Program) -> list[Callable[[], None]]:
    """Steps of a program that touches every kind of command, ending with things still allocated."""
    return [
        lambda: program.prefill([5, 6, 7, 8, 9], [1, 2], "prefill"),
        lambda: program.fork([1, 2], [3, 4]),
        lambda: program.step(7, 5, [3, 4], "child"),
        lambda: program.alloc([5]),
        lambda: program.submit(CopyPages(page_names([1]), page_names([5]), [Span(0, 1, 2)])),
        lambda: program.submit(MaskPage(VirtualPage(3), 0b0110)),
        lambda: program.step(8, 5, [1, 2], "parent"),
        lambda: program.synchronize("sync"),
        lambda: program.free([4, 1], [3]),
        lambda: program.step(9, 6, [3, 2], "late"),
    ]


STEPS = len(a_bit_of_everything(World().program()))


def run_bystander(world: World) -> None:
    bystander = world.program("bystander")
    bystander.prefill([5, 6], [1], "bystander prefill")
    bystander.step(7, 2, [1], "bystander")


@given(cut=st.integers(0, STEPS), passes=st.integers(0, 4), slow=st.booleans())
def test_a_program_closed_at_any_step_gives_all_back_and_harms_nobody(
    cut: int, passes: int, slow: bool
) -> None:
    world = World(auto=not slow)
    program = world.program()
    run_bystander(world)
    for step in a_bit_of_everything(program)[:cut]:
        step()
    world.pump()
    for _ in range(passes):
        world.clock.run_next()
    heard = len(world.recorder.events)
    program.session.close()
    world.control.check_integrity()
    world.run()
    told = [event.label for event in world.recorder.events[heard:]]
    assert all(label.startswith("bystander") for label in told)
    alone = World()
    run_bystander(alone)
    alone.pump()
    assert world.recorder.dist("bystander") == alone.recorder.dist("bystander")
    statistics = world.control.statistics().models["fake"]
    assert (statistics.pages.held, statistics.embs.held) == (1, 3)
    assert statistics.queued_commands == 0


def test_closing_twice_is_fine_and_a_closed_session_makes_no_queue(world: World) -> None:
    program = world.program()
    program.session.close()
    program.session.close()
    with pytest.raises(WrongState, match="a has ended"):
        program.session.create_queue("fake")
    assert world.control.statistics().sessions == 0


def test_a_name_can_be_opened_again_after_its_session_has_closed(world: World) -> None:
    program = world.program()
    program.session.close()
    assert all_back(world.program().session, world)


def test_usage_counts_pages_page_seconds_tokens_and_compute(slow: World) -> None:
    program = slow.program()
    program.prefill([5, 6, 7, 8, 9], [1, 2], "prefill")
    slow.run()
    slow.clock.advance(9.0)
    usage = program.session.usage()
    assert (usage.pages, usage.embs, usage.tokens) == (2, 6, 5)
    assert usage.page_seconds == pytest.approx(20.0)
    assert usage.compute_ms == pytest.approx(1000.0)
    assert usage.pages_left == slow.spec.pages - 2


def test_before_its_first_queue_a_program_is_told_of_the_pages_that_any_model_has(world: World) -> None:
    session = world.control.open(InstanceId("new"), Limits())
    assert session.usage().pages_left == world.spec.pages


def test_the_time_of_a_pass_is_shared_by_tokens_and_distributions(slow: World) -> None:
    big, small = slow.program("big"), slow.program("small")
    big.prefill(range(5), [1, 2], "big")
    small.prefill(range(2), [1], "small")
    slow.run()
    assert big.session.usage().compute_ms == pytest.approx(1000 * 6 / 9)
    assert small.session.usage().compute_ms == pytest.approx(1000 * 3 / 9)


def test_a_shared_page_counts_for_each_name(world: World) -> None:
    program = world.program()
    program.prefill(range(PAGE_SIZE), [1], "d")
    program.fork([1], [2])
    world.pump()
    assert program.session.usage().pages == 2
    assert world.free_pages == world.spec.pages - 1


def test_allocating_takes_no_memory_before_something_is_written(world: World) -> None:
    program = world.program()
    program.alloc(range(1000), range(1000))
    world.pump()
    assert world.free_pages == world.spec.pages
    assert program.session.usage().pages == 0


def test_a_queue_describes_itself(slow: World) -> None:
    program = slow.program()
    program.prefill([5], [1], "d")
    assert program.session.describe(program.queue) == (
        "queue 0 on fake: ok; priority 0; 3 waiting (Embed, Forward, Dist), 0 with the driver"
    )
    slow.pump()
    assert "0 waiting (nothing), 3 with the driver" in program.session.describe(program.queue)


def test_statistics_tell_what_was_sent(slow: World) -> None:
    a, b, c = (slow.program(name) for name in "abc")
    for program in (a, b, c):
        program.prefill([5, 6], [1], program.name)
    slow.run()
    statistics = slow.control.statistics().models["fake"]
    assert (statistics.passes, statistics.tokens, statistics.dists, statistics.queues) == (1, 6, 3, 3)
    assert statistics.batch_sizes == {4: 1}
    assert statistics.driver_seconds == statistics.pass_seconds == 1.0
    assert statistics.pages.total == statistics.pages.free + statistics.pages.held


def test_two_queues_of_a_program_share_its_names(world: World) -> None:
    program = world.program()
    program.prefill([5, 6], [1], "prefill")
    world.pump()
    program.queue = program.session.create_queue("fake")
    program.step(7, 2, [1], "step")
    world.pump()
    assert world.recorder.dist("step")


def test_a_completion_may_submit_and_pump(world: World) -> None:
    program = world.program()
    program.prefill([5, 6], [1], "prefill")

    class Again:
        """Asks for the next token as soon as it has one, from within the control layer."""

        position = 2

        def resolve(self, _: object) -> None:
            self.position += 1
            if self.position < PAGE_SIZE:
                program.step(7, self.position, [1], f"step {self.position}")
                program.world.control.pump()

        fail = resolve

    program.session.submit(program.queue, MaskPage(VirtualPage(1), 0b1111), Again())
    world.pump()
    assert world.recorder.dist("step 3")


def test_the_model_and_its_tokenizer_can_be_asked_for(world: World) -> None:
    assert [info.name for info in world.control.models()] == ["fake"]
    assert world.control.model("fake").page_size == PAGE_SIZE
    assert world.control.tokenizer("fake").encode("a") == [97]
