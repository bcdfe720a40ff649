"""Runs of decoding: the driver goes on while nobody looks."""

from typing import Any

import pytest
from world import Program, World, all_back

from pie.application.sampling import sample
from pie.control import ControlSettings
from pie.core.commands import SamplingSpec
from pie.core.errors import Cancelled, InternalError, InvalidArgument, OutOfResources, Unavailable, UnknownId
from pie.sampling import step_seed
from pie.testing import fake_spec

PAGES = [1, 2, 3, 4, 5]
GREEDY: dict[str, Any] = {}
WARM: dict[str, Any] = {"temperature": 1.0, "top_p": 0.9, "seed": 11}
PENALISED: dict[str, Any] = {
    "temperature": 0.7, "seed": 3, "repetition_penalty": 1.3, "presence_penalty": 2.0,
    "frequency_penalty": 0.5, "seen": [5, 6],
}  # fmt: skip


def prompted(world: World, name: str = "a") -> Program:
    """A program with pages 1 to 5, two tokens in the first, and their hidden state in emb 1."""
    program = world.program(name)
    program.alloc(PAGES, [0, 1])
    program.embed([5, 6], [0, 1], [0, 1])
    program.forward([0, 1], [], PAGES, 0, [1])
    world.run()
    world.passes.clear()
    world.recorder.events.clear()
    return program


def step_by_step(steps: int, spec: dict[str, Any], stop: tuple[int, ...] = ()) -> list[int]:
    """What a program finds that asks for one distribution after the other."""
    world = World()
    program = prompted(world)
    how = SamplingSpec(**spec)
    tokens: list[int] = []
    while len(tokens) < steps and not (tokens and tokens[-1] in stop):
        position = 2 + len(tokens)
        if tokens:
            program.embed([tokens[-1]], [position - 1], [0])
            page, offset = divmod(position - 1, 4)
            program.forward([0], PAGES[: page + 1], [PAGES[page]], offset, [1])
        program.dist(1, f"d{position}", top_k=256)
        world.run()
        seen = [*how.seen, *tokens]
        chosen = how._replace(seed=step_seed(how.seed, position), seen=seen)
        tokens.append(sample(world.recorder.dist(f"d{position}"), chosen))
    return tokens


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("spec", [GREEDY, WARM, PENALISED])
@pytest.mark.parametrize("fuse", [True, False])
def test_a_run_gives_the_tokens_of_step_by_step_decoding(
    spec: dict[str, Any], passes: int, fuse: bool
) -> None:
    world = World(ControlSettings(passes_in_flight=passes, fuse=fuse), auto=False)
    program = prompted(world)
    run = program.decode(2, PAGES, 14, "run", **spec)
    world.run()
    assert run.tokens == step_by_step(14, spec)
    assert world.recorder["run"].error is None
    assert world.free_slots == world.spec.slots


def test_a_step_of_a_run_is_one_pass_and_the_last_token_is_not_run(slow: World) -> None:
    program = prompted(slow)
    program.decode(2, PAGES, 4, "run")
    slow.run()
    assert [(len(p.slot_embs), len(p.inputs), len(p.sample_slots)) for p in slow.passes] == [
        (0, 0, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1),
    ]  # fmt: skip


def test_the_first_sample_rides_with_the_prompt(slow: World) -> None:
    program = slow.program()
    program.alloc(PAGES, [0, 1])
    program.embed([5, 6], [0, 1], [0, 1])
    program.forward([0, 1], [], PAGES, 0, [1])
    program.decode(2, PAGES, 2, "run")
    slow.run()
    assert [len(p.inputs) for p in slow.passes] == [2, 1]


def test_a_listener_hears_of_each_token_when_its_pass_is_back(slow: World) -> None:
    program = prompted(slow)
    run = program.decode(2, PAGES, 3, "run")
    heard = []
    slow.pump()
    while slow.clock.run_next():
        heard.append(len(run.tokens))
    assert heard[-1] == 3 and {1, 2} <= set(heard)


def test_a_stop_token_ends_the_run_and_costs_no_more_than_what_is_in_flight() -> None:
    tokens = step_by_step(12, WARM)
    stop = tokens[5]
    world = World(auto=False)
    program = prompted(world)
    run = program.decode(2, PAGES, 12, "run", stop=[stop, 508], **WARM)
    world.run()
    assert run.tokens == tokens[: tokens.index(stop) + 1]
    assert len(world.passes) <= len(run.tokens) + 1
    assert world.free_slots == world.spec.slots


def test_what_follows_a_run_in_the_queue_waits_for_its_end(slow: World) -> None:
    program = prompted(slow)
    tokens = step_by_step(12, GREEDY)
    run = program.decode(2, PAGES, 12, "run", stop=[tokens[3]])
    program.synchronize("after")
    program.free(PAGES)
    slow.run()
    assert run.tokens == tokens[: tokens.index(tokens[3]) + 1]
    assert slow.recorder.labels == ["run", "after"]
    assert slow.free_pages == slow.spec.pages


def test_two_runs_in_one_queue_come_one_after_the_other(slow: World) -> None:
    program = prompted(slow)
    first = program.decode(2, PAGES, 3, "first", **WARM)
    program.alloc([], [2])
    program.embed([9], [4], [0])
    program.forward([0], PAGES, [2], 0, [1])
    second = program.decode(5, PAGES, 3, "second", **WARM)
    slow.run()
    assert first.tokens == step_by_step(3, WARM)
    assert len(second.tokens) == 3
    assert slow.recorder.labels == ["first", "second"]


def test_a_stopped_run_sends_nothing_more_and_the_queue_goes_on(slow: World) -> None:
    program = prompted(slow)
    run = program.decode(2, PAGES, 14, "run")
    program.synchronize("after")
    slow.pump()
    slow.clock.advance(1.0)
    program.session.stop(program.queue, run)
    slow.run()
    assert slow.recorder.labels == ["after"]
    assert len(slow.passes) <= 3
    assert slow.free_slots == slow.spec.slots
    assert all_back(program.session, slow)


def test_a_reset_cancels_a_run(slow: World) -> None:
    program = prompted(slow)
    program.decode(2, PAGES, 14, "run")
    slow.pump()
    slow.clock.advance(1.0)
    program.session.reset(program.queue)
    slow.run()
    assert isinstance(slow.recorder.error("run"), Cancelled)
    assert slow.free_slots == slow.spec.slots
    program.embed([5, 6], [0, 1], [0, 1])
    program.forward([0, 1], [], PAGES, 0, [1])
    again = program.decode(2, PAGES, 4, "again")
    slow.run()
    assert again.tokens == step_by_step(4, GREEDY)


def test_a_failed_pass_fails_the_run_once(slow: World) -> None:
    program = prompted(slow)
    run = program.decode(2, PAGES, 14, "run")
    slow.pump()
    slow.clock.advance(1.95)
    assert slow.driver.in_flight == 2
    slow.driver.fail_next("NaN in the logits")
    slow.run()
    assert isinstance(slow.recorder.error("run"), InternalError)
    assert run.tokens == step_by_step(len(run.tokens), GREEDY)
    assert all_back(program.session, slow)


def test_a_dead_driver_fails_runs_in_flight_and_they_can_begin_again(slow: World) -> None:
    programs = [prompted(slow, name) for name in "ab"]
    for program in programs:
        program.decode(2, PAGES, 14, program.name)
    slow.pump()
    slow.clock.advance(2.95)
    assert slow.driver.in_flight == 2
    slow.driver.kill("signal 9")
    for name in "ab":
        assert isinstance(slow.recorder.error(name), Unavailable)
    assert slow.free_slots == slow.spec.slots
    slow.restore()
    for program in programs:
        program.session.close()
    again = prompted(slow, "c").decode(2, PAGES, 5, "c")
    slow.run()
    assert again.tokens == step_by_step(5, GREEDY)


def test_a_program_that_ends_takes_its_run_along(slow: World) -> None:
    program = prompted(slow)
    program.decode(2, PAGES, 14, "run")
    slow.pump()
    slow.clock.advance(1.6)
    assert all_back(program.session, slow)
    slow.run()
    assert slow.recorder.labels == []


def test_a_run_that_finds_no_page_fails_with_what_is_missing() -> None:
    world = World(spec=fake_spec(pages=2, page_size=4), auto=False)
    program = prompted(world)
    run = program.decode(2, PAGES, 14, "run")
    world.run()
    assert isinstance(world.recorder.error("run"), OutOfResources)
    assert run.tokens == step_by_step(len(run.tokens), GREEDY) and len(run.tokens) >= 6
    assert all_back(program.session, world)


def test_a_run_writes_to_a_shared_page_after_copying_it(world: World) -> None:
    program = prompted(world)
    program.fork([1], [9])
    pages = [9, *PAGES[1:]]
    child = program.decode(2, pages, 5, "child")
    world.run()
    assert child.tokens == step_by_step(5, GREEDY)
    program.embed([5, 6], [0, 1], [0, 1])
    program.forward([1], [1], (), 0, [1])
    parent = program.decode(2, PAGES, 3, "parent")
    world.run()
    assert len(parent.tokens) == 3
    assert all_back(program.session, world)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 0}, InvalidArgument, "a count of 0"),
        ({"steps": 20}, InvalidArgument, "19 tokens from token 2 on do not fit into 5 pages of 4 tokens"),
        ({"position": 4090, "steps": 8}, InvalidArgument, "do not fit|position"),
        ({"pages": [1, 1, 2, 3]}, InvalidArgument, "page 1 is named twice"),
        ({"pages": [1, 77, 2, 3]}, UnknownId, "page 77"),
        ({"temperature": float("nan")}, InvalidArgument, "temperature"),
        ({"seen": [-1]}, InvalidArgument, "token -1"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_queued(
    world: World, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    program = prompted(world)
    arguments = {"position": 2, "pages": PAGES, "steps": 4, "label": "run", **change}
    with pytest.raises(error, match=message):
        program.decode(**arguments)
    assert "nothing" in program.session.describe(program.queue)
    assert all_back(program.session, world)


def test_pages_are_named_before_they_hold_anything(world: World) -> None:
    program = prompted(world)
    assert world.spec.pages - world.free_pages == 1
    program.decode(2, PAGES, 14, "run")
    world.run()
    assert world.spec.pages - world.free_pages == 4
