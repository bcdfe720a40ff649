"""What a call refuses at once: the message names the thing and the remedy, and nothing is queued."""

import pytest
from world import Program, World, emb_names, page_names

from pie.control import ControlSettings
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    Command,
    CopyPages,
    EmbedText,
    ForkPages,
    Forward,
    FreeEmbs,
    FreePages,
    MaskPage,
    NextDist,
    Span,
)
from pie.core.errors import InvalidArgument, LimitExceeded, NotFound, PieError, UnknownId, WrongState
from pie.core.ids import InstanceId, QueueId, Token, VirtualEmb, VirtualPage
from pie.core.programs import Limits


@pytest.fixture
def program(world: World) -> Program:
    """Has pages 1 to 3 and embs 1 to 5."""
    program = world.program()
    program.alloc([1, 2, 3], [1, 2, 3, 4, 5])
    return program


def embed(tokens: list[int], positions: list[int], embs: list[int]) -> EmbedText:
    return EmbedText([Token(token) for token in tokens], positions, emb_names(embs))


def forward(
    ikv: tuple[int, ...] = (),
    iemb: tuple[int, ...] = (1,),
    okv: tuple[int, ...] = (),
    offset: int = 0,
    oemb: tuple[int, ...] = (),
    outputs: tuple[int, ...] = (),
    mask: list[list[int]] | None = None,
) -> Forward:
    return Forward(page_names(ikv), emb_names(iemb), page_names(okv), offset, emb_names(oemb), outputs, mask)


def copy(src: list[int], dst: list[int], *spans: Span) -> CopyPages:
    return CopyPages(page_names(src), page_names(dst), spans)


REFUSED: dict[str, tuple[Command, type[PieError], str]] = {
    "allocate a page twice": (AllocPages(page_names([9, 2])), InvalidArgument, "page 2 is allocated already"),
    "allocate an emb twice": (AllocEmbs(emb_names([5])), InvalidArgument, "emb 5 is allocated already"),
    "free an unknown page": (
        FreePages(page_names([7])),
        UnknownId,
        "page 7 was never allocated: alloc_kvpage",
    ),
    "free an unknown emb": (
        FreeEmbs(emb_names([7])),
        UnknownId,
        "emb 7 was never allocated: alloc_emb first",
    ),
    "free a page twice": (FreePages(page_names([1, 1])), InvalidArgument, "page 1 is named twice"),
    "copy with lists of different lengths": (
        copy([1], [2, 3], Span(0, 0, 1)),
        InvalidArgument,
        "1 src, 2 dst and 1 spans",
    ),
    "copy from an unknown page": (copy([7], [2], Span(0, 0, 1)), UnknownId, "page 7"),
    "copy to an unknown page": (copy([1], [7], Span(0, 0, 1)), UnknownId, "page 7"),
    "copy beyond the source": (copy([1], [2], Span(3, 0, 2)), InvalidArgument, "leave a page of 4 tokens"),
    "copy beyond the target": (copy([1], [2], Span(0, 3, 2)), InvalidArgument, "leave a page of 4 tokens"),
    "copy a negative span": (copy([1], [2], Span(0, -1, 1)), InvalidArgument, "leave a page"),
    "fork an unknown page": (ForkPages(page_names([7]), page_names([8])), UnknownId, "page 7"),
    "fork to a page in use": (
        ForkPages(page_names([1]), page_names([2])),
        InvalidArgument,
        "page 2 is allocated",
    ),
    "fork to one page twice": (
        ForkPages(page_names([1, 2]), page_names([8, 8])),
        InvalidArgument,
        "page 8 is named twice",
    ),
    "fork with lists of different lengths": (
        ForkPages(page_names([1]), page_names([8, 9])),
        InvalidArgument,
        "1 src, 2 dst",
    ),
    "mask an unknown page": (MaskPage(VirtualPage(7), 1), UnknownId, "page 7"),
    "mask with too many bits": (
        MaskPage(VirtualPage(1), 16),
        InvalidArgument,
        "0x10 has bits for more than the 4",
    ),
    "mask with a negative number": (MaskPage(VirtualPage(1), -1), InvalidArgument, "bits"),
    "embed lists of different lengths": (
        embed([1], [0, 1], [1]),
        InvalidArgument,
        "1 tokens, 2 positions and 1 embs",
    ),
    "embed a token beyond the vocabulary": (
        embed([8, 509], [0, 1], [1, 2]),
        InvalidArgument,
        "token 509 is not in the vocabulary: tokens are 0 to 508",
    ),
    "embed a negative token": (embed([-1], [0], [1]), InvalidArgument, "token -1"),
    "embed beyond the context": (
        embed([8], [4096], [1]),
        InvalidArgument,
        "position 4096 is outside the model's context of 4096",
    ),
    "embed at a negative position": (embed([8], [-1], [1]), InvalidArgument, "position -1"),
    "embed into an unknown emb": (embed([8], [0], [7]), UnknownId, "emb 7 was never allocated"),
    "embed twice into one emb": (embed([8, 9], [0, 1], [1, 1]), InvalidArgument, "emb 1 is named twice"),
    "forward without inputs": (forward(iemb=()), InvalidArgument, "0 inputs: give 1 to"),
    "forward over an unknown page": (forward(ikv=(7,)), UnknownId, "page 7"),
    "forward of an unknown emb": (forward(iemb=(7,)), UnknownId, "emb 7"),
    "forward to an unknown page": (forward(okv=(7,)), UnknownId, "page 7"),
    "forward to one page twice": (forward(okv=(1, 1)), InvalidArgument, "page 1 is named twice"),
    "forward without room": (
        forward(iemb=(1, 2), okv=(1,), offset=3),
        InvalidArgument,
        "2 inputs do not fit into 1 okv pages of 4 tokens from token 3 on: give 2 pages",
    ),
    "forward to a negative offset": (forward(okv=(1,), offset=-1), InvalidArgument, "do not fit"),
    "forward to an unknown output": (forward(oemb=(7,)), UnknownId, "emb 7"),
    "forward to one output twice": (
        forward(iemb=(1, 2), oemb=(3, 3)),
        InvalidArgument,
        "emb 3 is named twice",
    ),
    "forward with more outputs than inputs": (forward(oemb=(2, 3)), InvalidArgument, "2 oemb for 1 inputs"),
    "forward with outputs for no emb": (forward(outputs=(0,)), InvalidArgument, "1 outputs for 0 oemb"),
    "forward with too few outputs": (
        forward(iemb=(1, 2), oemb=(3, 4), outputs=(0,)),
        InvalidArgument,
        "1 outputs for 2 oemb",
    ),
    "forward with an output that is no input": (
        forward(oemb=(3,), outputs=(1,)),
        InvalidArgument,
        "output 1 is no input: there are inputs 0 to 0",
    ),
    "forward with a negative output": (forward(oemb=(3,), outputs=(-1,)), InvalidArgument, "output -1"),
    "forward with too few mask rows": (
        forward(iemb=(1, 2), mask=[[1]]),
        InvalidArgument,
        "1 mask rows for 2",
    ),
    "forward with a mask row too long": (
        forward(ikv=(1,), mask=[[4, 2]]),
        InvalidArgument,
        "mask row 0 covers 6 tokens, but there are 4 in ikv and 1 inputs",
    ),
    "forward with a negative run": (forward(ikv=(1,), mask=[[6, -2]]), InvalidArgument, "mask row 0"),
    "distribution of an unknown emb": (NextDist(VirtualEmb(7), 1, []), UnknownId, "emb 7"),
    "distribution of nothing": (
        NextDist(VirtualEmb(1), 0, []),
        InvalidArgument,
        "top_k is 0: choose 1 to 509",
    ),
    "distribution of more than the vocabulary": (
        NextDist(VirtualEmb(1), 510, []),
        InvalidArgument,
        "top_k is 510: choose 1 to 509",
    ),
    "scores of a token beyond the vocabulary": (
        NextDist(VirtualEmb(1), 1, [Token(509)]),
        InvalidArgument,
        "token 509",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_call_is_refused_at_once_and_changes_nothing(
    world: World, program: Program, what: str
) -> None:
    command, error, message = REFUSED[what]
    before = program.session.describe(program.queue)
    with pytest.raises(error) as caught:
        program.submit(command)
    assert message in str(caught.value)
    assert program.session.describe(program.queue) == before
    program.free([1, 2, 3], [1, 2, 3, 4, 5])
    world.pump()
    assert not world.passes


HUGE: dict[str, Command] = {
    "pages": AllocPages(page_names(range(100, 111))),
    "embs": AllocEmbs(emb_names(range(100, 111))),
    "tokens": embed([1] * 11, [0] * 11, [1] * 11),
    "ikv": forward(ikv=(1,) * 11),
    "iemb": forward(iemb=(1,) * 11),
    "runs": forward(mask=[[0, 1] + [0] * 9]),
    "spans": copy([1] * 11, [2] * 11, *[Span(0, 0, 1)] * 11),
    "scores": NextDist(VirtualEmb(1), 1, [Token(1)] * 11),
}


@pytest.mark.parametrize("what", HUGE)
def test_huge_lists_are_refused(what: str) -> None:
    program = World(ControlSettings(max_list=10, max_scored=10)).program()
    program.alloc([1, 2, 3], [1, 2, 3, 4, 5])
    with pytest.raises(InvalidArgument, match="10"):
        program.submit(HUGE[what])


def test_top_k_is_capped_by_the_settings() -> None:
    program = World(ControlSettings(max_top_k=50)).program()
    program.alloc([], [1])
    with pytest.raises(InvalidArgument, match="choose 1 to 50"):
        program.dist(1, "d", top_k=51)


def test_names_are_private(world: World, program: Program) -> None:
    assert program.session.describe(program.queue)
    stranger = world.program("stranger")
    with pytest.raises(UnknownId, match="page 1 was never allocated"):
        stranger.free([1])
    stranger.alloc([1], [1])


def test_a_name_can_be_used_again_right_after_it_was_freed(world: World, program: Program) -> None:
    program.free([1])
    program.alloc([1])
    world.pump()


def test_an_unknown_queue_is_named(program: Program) -> None:
    with pytest.raises(UnknownId, match="queue 9 does not exist: create_queue first"):
        program.submit(AllocPages([]), queue=QueueId(9))
    for call in (program.session.reset, program.session.describe):
        with pytest.raises(UnknownId, match="queue 9"):
            call(QueueId(9))


def test_an_unknown_model_is_answered_with_those_there_are(world: World, program: Program) -> None:
    with pytest.raises(NotFound, match="no model big is served here; there are: fake"):
        program.session.create_queue("big")
    with pytest.raises(NotFound, match="there are: fake"):
        world.control.model("big")


def test_a_program_has_a_bounded_number_of_queues() -> None:
    program = World(ControlSettings(max_queues=2)).program()
    program.session.create_queue("fake")
    with pytest.raises(LimitExceeded, match="2 queues already"):
        program.session.create_queue("fake")


def test_a_program_may_have_only_so_many_commands_waiting(slow: World) -> None:
    program = slow.program(limits=Limits(calls_in_flight=3))
    program.alloc([], [1])
    for _ in range(3):
        program.embed([1], [0], [1])
    with pytest.raises(LimitExceeded, match="3 commands are queued"):
        program.embed([1], [0], [1])
    slow.run()
    program.embed([1], [0], [1])


def test_a_program_may_have_only_so_many_numbers_waiting() -> None:
    world = World(ControlSettings(max_queued_numbers=5), auto=False)
    program = world.program()
    program.alloc([], [1, 2])
    program.embed([1, 2], [0, 1], [1, 2])
    with pytest.raises(LimitExceeded, match="6 numbers are queued"):
        program.embed([1], [0], [1])
    world.run()
    program.embed([1], [0], [1])


def test_a_session_of_the_same_name_cannot_be_opened_twice(world: World) -> None:
    world.program("a")
    with pytest.raises(WrongState, match="instance a is open already"):
        world.control.open(InstanceId("a"), Limits())


def test_a_model_is_served_once(world: World) -> None:
    with pytest.raises(WrongState, match="model fake is served already"):
        world.control.add_model(world.control.model("fake"), world.driver, world.control.tokenizer("fake"))
