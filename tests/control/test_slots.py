"""Tokens that live with the driver: samples into slots, embeds from them, reads of them."""

from typing import Any

import pytest
from world import Program, World, all_back, slot_names

from pie.application.sampling import sample
from pie.control import ControlSettings
from pie.core.commands import FreeSlots, SamplingSpec
from pie.core.errors import InvalidArgument, LimitExceeded, OutOfResources, Unavailable, UnknownId
from pie.testing import fake_spec

SPEC: dict[str, Any] = {"temperature": 0.9, "top_p": 0.95, "seed": 7}


def decoding(world: World, name: str = "a") -> Program:
    """A program with two tokens in page 1, embs 0 to 2 (2: a hidden state) and slots 1 to 4."""
    program = world.program(name)
    program.prefill([5, 6], [1], f"{name} prefill")
    program.alloc_slots(1, 2, 3, 4)
    world.run()
    world.passes.clear()
    world.recorder.events.clear()
    return program


def queue_steps(program: Program, steps: int, **spec: Any) -> None:
    """Steps ahead: token i goes to slot i + 1 and, but for the last, through the model."""
    state = 2
    for i in range(steps):
        program.sample(state, 1 + i, **spec)
        if i + 1 < steps:
            program.embed_slots([1 + i], [2 + i], [0])
            program.forward([0], [1], [1], (2 + i) % 4, [1])
            state = 1


def test_steps_queued_ahead_take_a_pass_each_and_no_answer_in_between(slow: World) -> None:
    program = decoding(slow)
    queue_steps(program, 3)
    program.read_slots([1, 2, 3], "read")
    slow.run()
    assert [(len(p.sample_slots), len(p.inputs)) for p in slow.passes] == [(1, 0), (1, 1), (1, 1)]
    assert slow.recorder.labels == ["read"]


@pytest.mark.parametrize("spec", [{}, SPEC, {"temperature": 1.0, "top_k": 5, "min_p": 0.1, "seed": 2**63}])
def test_slots_give_the_tokens_that_step_by_step_sampling_gives(spec: dict[str, Any]) -> None:
    ahead, behind = World(), World()
    program = decoding(ahead)
    queue_steps(program, 3, **spec)
    program.read_slots([1, 2, 3], "read")
    ahead.run()
    assert ahead.recorder["read"].value == sampled_by_the_guest(decoding(behind), 3, spec)


def sampled_by_the_guest(program: Program, steps: int, spec: dict[str, Any]) -> list[int]:
    """The same by distributions that come up to the program."""
    tokens: list[int] = []
    for i in range(steps):
        program.dist(1 if i else 2, f"d{i}", top_k=256)
        program.world.run()
        tokens.append(sample(program.world.recorder.dist(f"d{i}"), SamplingSpec(**spec)))
        program.embed([tokens[-1]], [2 + i], [0])
        program.forward([0], [1], [1], (2 + i) % 4, [1])
    return tokens


def test_penalties_count_tokens_in_slots() -> None:
    spec = {"temperature": 0.0, "presence_penalty": 100.0, "frequency_penalty": 1.0}
    world = World()
    program = decoding(world)
    program.sample(2, 1)
    program.sample(2, 2, **spec, seen_slots=slot_names([1]))
    program.sample(2, 3, **spec, seen_slots=slot_names([1, 2]))
    program.sample(2, 2, **spec, seen_slots=slot_names([2, 1, 3]))
    program.read_slots([1, 2, 3], "read")
    world.run()
    first, second, third = world.recorder["read"].value  # type: ignore[misc]
    assert len({first, second, third}) == 3


def test_a_read_tells_what_was_sampled_before_it_and_not_after(slow: World) -> None:
    program = decoding(slow)
    program.sample(2, 1, temperature=1.0, seed=1)
    program.read_slots([1], "before")
    program.sample(2, 1, temperature=9.0, seed=4)
    program.read_slots([1, 1], "after")
    slow.run()
    (before,), after = slow.recorder["before"].value, slow.recorder["after"].value  # type: ignore[misc]
    assert after == [after[0]] * 2  # type: ignore[index]
    assert before != after[0]  # type: ignore[index]


def test_a_read_of_what_is_known_needs_no_pass(slow: World) -> None:
    program = decoding(slow)
    program.sample(2, 1)
    slow.run()
    passes = len(slow.passes)
    program.read_slots([1], "read")
    slow.pump()
    assert slow.recorder["read"].value and len(slow.passes) == passes


def test_another_queue_reads_a_slot_when_its_pass_is_back(slow: World) -> None:
    program = decoding(slow)
    other = program.session.create_queue("fake")
    program.sample(2, 1)
    slow.pump()
    program.read_slots([1], "read", other)
    slow.pump()
    assert slow.recorder.labels == []
    slow.run()
    assert slow.recorder.labels == ["read"]


def test_a_sample_into_a_slot_that_the_pass_embeds_from_rides_along(world: World) -> None:
    program = decoding(world)
    program.sample(2, 1)
    program.embed_slots([1], [2], [0])
    program.sample(2, 1, temperature=1.0, seed=3)
    program.forward([0], [1], oemb=[1])
    program.dist(1, "d")
    world.run()
    assert [(len(p.sample_slots), len(p.slot_embs), len(p.inputs)) for p in world.passes] == [
        (1, 0, 0), (1, 1, 1),
    ]  # fmt: skip


def test_two_samples_into_one_slot_take_two_passes(world: World) -> None:
    program = decoding(world)
    program.sample(2, 1)
    program.sample(2, 1)
    program.sample(2, 2, presence_penalty=1.0, seen_slots=slot_names([1]))
    program.sample(2, 1)
    world.run()
    assert [len(p.sample_slots) for p in world.passes] == [1, 1, 2]


def test_a_slot_that_was_never_filled_poisons_the_queue_by_name(world: World) -> None:
    for act in (
        lambda program: program.embed_slots([3], [2], [0]),
        lambda program: program.read_slots([3], "read"),
        lambda program: program.sample(2, 1, presence_penalty=1.0, seen_slots=slot_names([3])),
    ):
        program = decoding(world, f"program {len(world.recorder.events)} {id(act)}")
        act(program)
        program.synchronize("after")
        world.run()
        error = world.recorder.error("after")
        assert isinstance(error, InvalidArgument)
        assert "slot 3 is read before anything was written to it" in str(error)
        world.recorder.events.clear()


def test_wrong_calls_are_refused_at_once(world: World) -> None:
    program = decoding(world)
    for wrong, error, message in (
        (lambda: program.alloc_slots(1), InvalidArgument, "slot 1 is allocated already"),
        (lambda: program.submit(FreeSlots(slot_names([9]))), UnknownId, "slot 9 was never allocated: alloc_"),
        (lambda: program.sample(2, 9), UnknownId, "slot 9"),
        (lambda: program.sample(9, 1), UnknownId, "emb 9"),
        (lambda: program.sample(2, 1, temperature=-1.0), InvalidArgument, "temperature"),
        (lambda: program.sample(2, 1, top_p=1.5), InvalidArgument, "top_p"),
        (lambda: program.sample(2, 1, seen=[509]), InvalidArgument, "token 509"),
        (lambda: program.sample(2, 1, seen_slots=slot_names([9])), UnknownId, "slot 9"),
        (lambda: program.sample(2, 1, repetition_penalty=0.0), InvalidArgument, "repetition_penalty"),
        (lambda: program.embed_slots([1], [0, 1], [0]), InvalidArgument, "1 slots, 2 positions and 1 embs"),
        (lambda: program.embed_slots([1], [4096], [0]), InvalidArgument, "position 4096"),
        (lambda: program.embed_slots([1, 2], [0, 1], [0, 0]), InvalidArgument, "emb 0 is named twice"),
        (lambda: program.embed_slots([9], [0], [0]), UnknownId, "slot 9"),
        (lambda: program.read_slots([9], "r"), UnknownId, "slot 9"),
        (lambda: program.score([2], [1, 2], "s"), InvalidArgument, "1 embs and 2 targets"),
        (lambda: program.score([2], [509], "s"), InvalidArgument, "token 509"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            wrong()
    assert not world.passes


def test_out_of_slots_is_an_error_that_says_how_many_there_are() -> None:
    world = World(spec=fake_spec(slots=1))
    program = decoding(world)
    program.sample(2, 1)
    program.sample(2, 2)
    program.synchronize("after")
    world.run()
    assert isinstance(world.recorder.error("after"), OutOfResources)
    assert "1 slots are needed, 0 of 1 are free" in str(world.recorder.error("after"))
    assert all_back(program.session, world)


def test_names_of_slots_are_bounded() -> None:
    world = World(ControlSettings(max_names=3))
    program = world.program()
    with pytest.raises(LimitExceeded, match="4 more slots would be more than the 3"):
        program.alloc_slots(1, 2, 3, 4)


def test_slots_of_a_failed_pass_are_lost_and_those_of_others_are_not(slow: World) -> None:
    program, bystander = decoding(slow, "a"), decoding(slow, "b")
    bystander.sample(2, 1)
    slow.run()
    slow.driver.fail_next("trouble")
    program.sample(2, 1)
    slow.run()
    program.session.reset(program.queue)
    program.read_slots([1], "lost")
    bystander.read_slots([1], "kept")
    slow.run()
    assert isinstance(slow.recorder.error("lost"), Unavailable)
    assert "the contents of slot 1 were lost" in str(slow.recorder.error("lost"))
    assert slow.recorder["kept"].error is None


def test_a_dead_driver_takes_its_slots_along(slow: World) -> None:
    program = decoding(slow)
    program.sample(2, 1)
    program.read_slots([1], "in flight")
    slow.pump()
    slow.driver.kill("signal 9")
    assert isinstance(slow.recorder.error("in flight"), Unavailable)
    slow.restore()
    assert slow.free_slots == slow.spec.slots
    assert all_back(program.session, slow)


def test_everything_goes_back_with_samples_in_flight(slow: World) -> None:
    program = decoding(slow)
    queue_steps(program, 4)
    slow.pump()
    assert all_back(program.session, slow)
    slow.run()


def test_a_score_is_the_log_probability_that_a_distribution_tells(world: World) -> None:
    program = decoding(world)
    program.dist(2, "d", tokens=[3, 100])
    program.score([2, 2], [3, 100], "score")
    program.score([], [], "nothing")
    world.run()
    facts = world.recorder.dist("d").chosen
    assert world.recorder["score"].value == [facts[3], facts[100]]
    assert world.recorder["nothing"].value == []
    assert len(world.passes) == 1


def test_long_scores_are_split_over_passes_or_go_alone() -> None:
    world = World(ControlSettings(max_batch_dists=3), auto=False)
    program = decoding(world)
    program.dist(2, "d")
    for count in (2, 5, 1):
        program.score([2] * count, [1] * count, f"{count} scores")
    world.run()
    assert [len(p.score_slots) for p in world.passes] == [2, 5, 1]
    assert [len(world.recorder[f"{n} scores"].value) for n in (2, 5, 1)] == [2, 5, 1]  # type: ignore[arg-type]
