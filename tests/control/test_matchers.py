"""Matchers in the control layer: order, running ahead, beams, speculation, and those that fail."""

import pytest
from world import PAGE_SIZE, Program, World

from pie.control import ControlSettings
from pie.core.commands import (
    AdvanceMatcher,
    DecodeAhead,
    Dist,
    ForkMatchers,
    FreeMatchers,
    MaskOfMatcher,
    NewMatchers,
    NextDist,
    ReadMatcher,
    RollbackMatcher,
    Sample,
    SamplingSpec,
)
from pie.core.errors import InvalidArgument, LimitExceeded, QueueFailed, UnknownId
from pie.core.grammar import Grammar, MatcherState
from pie.core.ids import Token, VirtualEmb, VirtualMatcher, VirtualPage, VirtualSlot
from pie.testing import fake_spec
from pie.testing.grammar import fake_tokens

WORDS = fake_tokens(509)
AHEAD = ControlSettings(passes_in_flight=2)
ACCEPTING, OVER = MatcherState(True, False, []), MatcherState(True, True, [])


def grammar(text: str) -> Grammar:
    return Grammar("regex", text, text)


def names(*matchers: int) -> list[VirtualMatcher]:
    return [VirtualMatcher(matcher) for matcher in matchers]


class Writer:
    """A program that writes text by a grammar."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.submit = program.submit

    def begin(self, text: str, *matchers: int) -> None:
        self.submit(NewMatchers(grammar(text), names(*matchers)))

    def read_prompt(self) -> None:
        """The hidden state after some text is in emb 1."""
        self.program.alloc(range(4), range(8))
        self.program.embed(b"hi", (0, 1), (2, 3))
        self.program.forward((2, 3), (), (0,), 0, (1,))

    def advance(self, matcher: int, text: bytes) -> None:
        self.submit(AdvanceMatcher(VirtualMatcher(matcher), [Token(byte) for byte in text]))

    def rollback(self, matcher: int, length: int) -> None:
        self.submit(RollbackMatcher(VirtualMatcher(matcher), length))

    def read(self, matcher: int, label: str) -> None:
        self.submit(ReadMatcher(VirtualMatcher(matcher)), label)

    def dist(self, matcher: int, label: str) -> None:
        self.submit(NextDist(VirtualEmb(1), 300, [], VirtualMatcher(matcher)), label)

    def sample(self, matcher: int, slot: int, seed: int = 0) -> None:
        spec = SamplingSpec(temperature=1.0, seed=seed)
        self.submit(Sample(VirtualEmb(1), spec, VirtualSlot(slot), VirtualMatcher(matcher)))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def writer(world: World) -> Writer:
    return Writer(world.program())


def value(world: World, label: str) -> object:
    (event,) = [event for event in world.recorder.events if event.label == label]
    assert event.error is None, event.error
    return event.value


def error(world: World, label: str) -> str:
    (event,) = [event for event in world.recorder.events if event.label == label]
    return str(event.error)


def held(world: World) -> int:
    pool = world.control.statistics().models["fake"].matchers
    return pool.total - pool.free


def text_of(tokens: list[int]) -> str:
    return b"".join(WORDS[token] for token in tokens).decode()


def test_states_are_read_in_the_order_of_the_queue(world: World, writer: Writer) -> None:
    writer.begin("1 2?", 0)
    writer.read(0, "before")
    writer.advance(0, b"1 ")
    writer.read(0, "between")
    writer.advance(0, b"2")
    writer.read(0, "after")
    writer.rollback(0, 1)
    writer.read(0, "back")
    world.run()
    assert value(world, "before") == MatcherState(False, False, list(b"1 "))
    assert value(world, "between") == ACCEPTING
    assert value(world, "after") == OVER
    assert value(world, "back") == ACCEPTING


def test_operations_and_one_question_share_a_pass(world: World, writer: Writer) -> None:
    writer.begin("a*", 0, 1)
    writer.advance(0, b"aa")
    writer.submit(ForkMatchers(names(0), names(2)))
    writer.rollback(2, 1)
    writer.read(2, "state")
    writer.submit(MaskOfMatcher(VirtualMatcher(2)), "mask")
    world.run()
    assert len(world.passes) == 1
    assert value(world, "state") == ACCEPTING
    mask = value(world, "mask")
    assert isinstance(mask, bytes) and mask[97 // 8] >> 97 % 8 & 1 and len(mask) == -(-509 // 8)


def test_a_masked_distribution_comes_before_the_sample_that_moves_its_matcher(
    world: World, writer: Writer
) -> None:
    writer.read_prompt()
    writer.begin("[0-9]x", 0)
    writer.program.alloc_slots(0)
    writer.dist(0, "digits")
    writer.sample(0, 0)
    writer.dist(0, "x")
    writer.read(0, "state")
    world.run()
    digits, rest = value(world, "digits"), value(world, "x")
    assert isinstance(digits, Dist) and isinstance(rest, Dist)
    assert sorted(digits.tokens) == list(b"0123456789")
    assert list(rest.tokens) == [ord("x")] and list(rest.probs) == [pytest.approx(1)]
    assert value(world, "state") == MatcherState(False, False, [ord("x")])


def test_an_operation_after_a_sample_waits_for_the_next_pass(world: World, writer: Writer) -> None:
    writer.read_prompt()
    writer.begin("[0-9]*", 0)
    writer.program.alloc_slots(0, 1)
    writer.sample(0, 0)
    writer.rollback(0, 1)
    writer.sample(0, 1)
    writer.program.read_slots((0, 1), "same")
    world.run()
    first, second = value(world, "same")  # type: ignore[misc]
    assert first == second
    assert len(world.passes) == 2


def test_decoding_ahead_writes_what_the_grammar_allows(writer: Writer) -> None:
    ahead = Writer(World(AHEAD, auto=False).program())
    texts = []
    for one in (writer, ahead):
        one.read_prompt()
        one.begin("(yes|no), [0-9]{3}!", 0)
        listener = one.program.world.recorder.listener("run")
        spec = SamplingSpec(temperature=1.0, seed=3)
        pages = [VirtualPage(page) for page in range(4)]
        command = DecodeAhead(
            spec, 2, pages, 2, VirtualEmb(0), VirtualEmb(1), 12, [Token(508)], VirtualMatcher(0)
        )
        one.program.session.submit(one.program.queue, command, listener)
        one.program.world.run()
        assert listener.tokens[-1] == 508
        texts.append(text_of(listener.tokens))
    assert texts[0] == texts[1]
    assert texts[0].partition(", ")[0] in ("yes", "no") and texts[0].endswith("!")


def test_a_beam_forks_its_matcher_with_its_pages(world: World, writer: Writer) -> None:
    writer.read_prompt()
    writer.begin("(left|right)", 0)
    writer.submit(ForkMatchers(names(0, 0), names(1, 2)))
    writer.program.fork((0, 0), (10, 11))
    writer.advance(1, b"l")
    writer.advance(2, b"r")
    writer.read(1, "left")
    writer.read(2, "right")
    writer.read(0, "trunk")
    world.run()
    assert [text_of(value(world, label).forced) for label in ("left", "right", "trunk")] == [  # type: ignore[attr-defined]
        "eft", "ight", ""
    ]  # fmt: skip


def test_speculation_advances_and_takes_back_what_was_wrong(world: World, writer: Writer) -> None:
    writer.read_prompt()
    writer.begin("[a-z]{1,20}", 0)
    writer.advance(0, b"guess")
    writer.dist(0, "after the guess")
    writer.rollback(0, 3)
    writer.advance(0, b"ide")
    writer.read(0, "right")
    writer.rollback(0, 5)
    writer.read(0, "all")
    world.run()
    assert value(world, "right") == ACCEPTING
    assert value(world, "all") == MatcherState(False, False, [])


def test_a_token_that_is_not_allowed_poisons_the_queue_from_there_on(world: World, writer: Writer) -> None:
    writer.read_prompt()
    writer.program.dist(1, "before")
    writer.begin("abc", 7)
    writer.program.synchronize("also before")
    writer.advance(7, b"ax")
    writer.program.dist(1, "after")
    writer.read(7, "later")
    world.run()
    assert isinstance(value(world, "before"), Dist)
    assert value(world, "also before") is None
    said = "matcher 7: the grammar does not allow token 120 (index 1 of the list)"
    assert error(world, "after") == error(world, "later") == said
    with pytest.raises(QueueFailed, match="does not allow token 120"):
        writer.advance(7, b"a")
    writer.program.session.reset(writer.program.queue)
    writer.read(7, "unmoved")
    world.run()
    assert text_of(value(world, "unmoved").forced) == "abc"  # type: ignore[attr-defined]


def test_nobody_else_notices_a_command_that_fails_alone(world: World, writer: Writer) -> None:
    other = Writer(world.program("b"))
    for one in (writer, other):
        one.read_prompt()
        one.begin("a+", 0)
    writer.advance(0, b"z")
    other.advance(0, b"a")
    writer.dist(0, "bad")
    other.dist(0, "good")
    world.run()
    assert len(world.passes) == 1
    assert "does not allow" in error(world, "bad")
    assert isinstance(value(world, "good"), Dist)


def test_what_ran_ahead_of_a_failure_fails_with_it() -> None:
    world = World(AHEAD, auto=False)
    writer = Writer(world.program())
    writer.read_prompt()
    writer.begin("a(b|c)", 0)
    writer.program.alloc_slots(0)
    writer.advance(0, b"z")
    writer.dist(0, "same pass")
    writer.sample(0, 0)
    world.pump()
    writer.advance(0, b"a")
    writer.dist(0, "next pass")
    writer.program.read_slots((0,), "slot")
    world.run()
    said = "matcher 0: the grammar does not allow token 122 (index 0 of the list)"
    assert {error(world, label) for label in ("same pass", "next pass", "slot")} == {said}


def test_a_reset_forgets_the_failure_but_not_what_it_spoiled() -> None:
    world = World(AHEAD, auto=False)
    writer = Writer(world.program())
    writer.begin("ab", 0)
    writer.advance(0, b"z")
    writer.read(0, "spoiled")
    world.pump()
    writer.program.session.reset(writer.program.queue)
    writer.read(0, "fine")
    world.run()
    assert "does not allow" in error(world, "spoiled")
    assert text_of(value(world, "fine").forced) == "ab"  # type: ignore[attr-defined]
    writer.read(0, "still fine")


def test_matchers_go_back_when_they_are_freed_and_when_the_program_ends(world: World, writer: Writer) -> None:
    writer.begin("a", 0, 1, 2)
    world.run()
    assert held(world) == 3
    writer.submit(FreeMatchers(names(1)))
    world.run()
    assert held(world) == 2
    writer.program.session.close()
    world.run()
    assert held(world) == 0
    Writer(world.program("b")).begin("b", 0)
    world.run()
    assert sorted(world.passes[-1].matcher_drops) == [0, 1, 2]


def test_a_place_is_dropped_before_it_is_used_again(world: World, writer: Writer) -> None:
    writer.begin("a", 0)
    world.run()
    writer.submit(FreeMatchers(names(0)))
    world.run()
    writer.begin("b", 0)
    writer.read(0, "new")
    world.run()
    assert text_of(value(world, "new").forced) == "b"  # type: ignore[attr-defined]


def test_a_grammar_travels_once_until_its_place_is_needed(writer: Writer, world: World) -> None:
    for number, text in enumerate(("a", "b", "a", "c", "d", "e", "a", "b")):
        writer.begin(text, number)
        world.run()
    assert [list(work.grammar_texts) for work in world.passes] == [
        ["a"], ["b"], [], ["c"], ["d"], ["e"], [], ["b"]
    ]  # fmt: skip


def test_a_pass_compiles_few_grammars(writer: Writer, world: World) -> None:
    for number in range(6):
        writer.begin(f"{number}", number)
    writer.read(5, "last")
    world.run()
    assert [len(work.grammar_texts) for work in world.passes] == [2, 2, 2]
    assert text_of(value(world, "last").forced) == "5"  # type: ignore[attr-defined]


def test_a_driver_that_dies_takes_its_matchers_and_grammars_along() -> None:
    world = World(auto=False)
    writer = Writer(world.program())
    writer.begin("a", 0)
    world.run()
    world.driver.kill()
    world.run()
    world.restore()
    writer.program.session.reset(writer.program.queue)
    writer.read(0, "lost")
    world.run()
    assert "the contents of matcher 0 were lost" in error(world, "lost")
    writer.program.session.reset(writer.program.queue)
    writer.begin("a", 1)
    writer.read(1, "new")
    world.run()
    assert text_of(value(world, "new").forced) == "a"  # type: ignore[attr-defined]
    assert world.passes[-1].grammar_texts == ["a"]


def test_a_failed_pass_loses_the_matchers_it_moved_and_no_others() -> None:
    world = World()
    writer, other = Writer(world.program("a")), Writer(world.program("b"))
    writer.begin("aa", 0)
    other.begin("aa", 0)
    world.run()
    world.driver.fail_next("a test")
    writer.advance(0, b"a")
    world.run()
    writer.program.session.reset(writer.program.queue)
    writer.read(0, "moved")
    other.read(0, "unmoved")
    world.run()
    assert "were lost" in error(world, "moved")
    assert isinstance(value(world, "unmoved"), MatcherState)


@pytest.mark.parametrize(
    ("command", "kind", "said"),
    [
        (ReadMatcher(VirtualMatcher(9)), UnknownId, "matcher 9 was never allocated: new_matcher first"),
        (NewMatchers(grammar("a"), names(0)), InvalidArgument, "matcher 0 is allocated already"),
        (NewMatchers(grammar("a"), names(1, 1)), InvalidArgument, "named twice"),
        (NewMatchers(grammar("a"), names(*range(10, 2000))), LimitExceeded, "more than the 1024"),
        (ForkMatchers(names(0), names(1, 2)), InvalidArgument, "1 src, 2 dst"),
        (ForkMatchers(names(9), names(1)), UnknownId, "matcher 9"),
        (AdvanceMatcher(VirtualMatcher(0), [Token(509)]), InvalidArgument, "token 509 is not in the"),
        (RollbackMatcher(VirtualMatcher(0), 1 << 31), InvalidArgument, "cannot be taken back"),
        (NextDist(VirtualEmb(0), 1, [], VirtualMatcher(9)), UnknownId, "matcher 9"),
        (
            Sample(VirtualEmb(0), SamplingSpec(), VirtualSlot(0), VirtualMatcher(9)),
            UnknownId,
            "matcher 9",
        ),
    ],
)
def test_a_wrong_call_is_refused_at_once_and_changes_nothing(
    world: World, writer: Writer, command: object, kind: type[Exception], said: str
) -> None:
    writer.begin("a", 0)
    writer.program.alloc((), (0,))
    writer.program.alloc_slots(0)
    with pytest.raises(kind, match=said):
        writer.submit(command, "answer")  # type: ignore[arg-type]
    writer.read(0, "state")
    world.run()
    assert isinstance(value(world, "state"), MatcherState)


def test_more_matchers_than_there_are_is_an_error_of_the_queue() -> None:
    world = World(spec=fake_spec(page_size=PAGE_SIZE, matchers=2))
    writer = Writer(world.program())
    writer.begin("a", 0, 1, 2)
    writer.program.synchronize("end")
    world.run()
    assert "3 matchers are needed, 2 of 2 are free" in error(world, "end")


def test_a_driver_without_grammars_says_so() -> None:
    world = World(spec=fake_spec(page_size=PAGE_SIZE, grammars=0))
    writer = Writer(world.program())
    writer.begin("a", 0)
    writer.program.synchronize("end")
    world.run()
    assert "keeps no grammars" in error(world, "end")
