"""Attention stats ride along as forwards do; each program gets the shares of its own pages."""

import pytest
from world import Program, World, emb_names, page_names

from pie.core.commands import AttentionStats
from pie.core.errors import InvalidArgument, UnknownId


def ask(program: Program, ikv: list[int], iemb: list[int], label: str) -> None:
    program.submit(AttentionStats(page_names(ikv), emb_names(iemb)), label)


def writer(world: World, name: str = "a") -> Program:
    """Six tokens in pages 0 and 1; emb 20 holds a token at position 6."""
    program = world.program(name)
    program.prefill([5, 6, 7, 8, 9, 10], [0, 1], f"{name} begins")
    program.alloc([2], [20])
    program.embed([11], [6], [20])
    return program


def test_there_is_one_share_for_each_page_and_one_for_the_inputs() -> None:
    """The fake model looks at all that it sees alike: four, two and no tokens, and itself."""
    world = World()
    ask(writer(world), [0, 2, 1], [20], "stats")
    world.run()
    assert world.recorder["stats"].value == pytest.approx([4 / 7, 0, 2 / 7, 1 / 7])


def test_programs_that_ask_in_one_pass_get_their_own_answers() -> None:
    world = World(auto=False)
    one, other = writer(world, "a"), writer(world, "b")
    world.run()
    ask(one, [1, 0], [20], "one")
    ask(other, [0], [20], "other")
    ask(one, [], [20], "alone")
    before = len(world.passes)
    world.run()
    assert len(world.passes) == before + 1
    assert world.recorder["one"].value == pytest.approx([2 / 7, 4 / 7, 1 / 7])
    assert world.recorder["other"].value == pytest.approx([4 / 5, 1 / 5])
    assert world.recorder["alone"].value == [1]


def test_what_is_queued_before_counts() -> None:
    world = World()
    program = writer(world)
    program.forward([20], [0, 1], okv=[1], offset=2)
    program.embed([12], [7], [0])
    ask(program, [1], [0], "stats")
    world.run()
    assert world.recorder["stats"].value == pytest.approx([3 / 4, 1 / 4])


def test_wrong_uses_say_what_is_wrong() -> None:
    world = World()
    program = writer(world)
    with pytest.raises(InvalidArgument, match="0 inputs"):
        ask(program, [0], [], "none")
    with pytest.raises(UnknownId, match="page 7 was never allocated"):
        ask(program, [7], [20], "page")
    with pytest.raises(UnknownId, match="emb 9 was never allocated"):
        ask(program, [0], [9], "emb")
    program.alloc(embs=[21])
    ask(program, [0], [21], "unwritten")
    world.run()
    assert "read before anything was written" in str(world.recorder.error("unwritten"))
