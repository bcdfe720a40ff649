"""The trait *forward*, call by call."""

from typing import Any

import pytest
from cases import EMBS, LARGEST, MANY, NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet

call = pytest.mark.call
LONG = Code(f"[0] * ({MANY} + 1)")


def arguments(
    ikv: Any = (),
    iemb: Any = (0,),
    okv: Any = (),
    offset: int = 0,
    oemb: Any = (),
    outputs: Any = (),
    mask: Any = None,
) -> list[Any]:
    return [
        list(each) if isinstance(each, tuple) else each
        for each in (ikv, iemb, okv, offset, oemb, outputs, mask)
    ]


SHARED = [
    (wrong, {"iemb": ()}, "invalid-argument", "0 inputs"),
    (wrong, {"iemb": (NOBODY,)}, "unknown-id", "emb 99 was never allocated"),
    (wrong, {"ikv": (NOBODY,)}, "unknown-id", "page 99 was never allocated"),
    (wrong, {"okv": (NOBODY,)}, "unknown-id", "page 99 was never allocated"),
    (wrong, {"oemb": (NOBODY,)}, "unknown-id", "emb 99 was never allocated"),
    (wrong, {"oemb": (1, 2)}, "invalid-argument", "2 oemb for 1 inputs"),
    (wrong, {"iemb": (0, 1), "oemb": (1, 1)}, "invalid-argument", "emb 1 is named twice"),
    (wrong, {"oemb": (1,), "outputs": (0, 0)}, "invalid-argument", "2 outputs for 1 oemb"),
    (limit, {"oemb": (1,), "outputs": (1,)}, "invalid-argument", "output 1 is no input"),
    (limit, {"okv": (2,), "offset": 16}, "invalid-argument", "give 2 pages"),
    (limit, {"okv": (2,), "offset": LARGEST}, "invalid-argument", "do not fit"),
    (wrong, {"okv": (2, 2)}, "invalid-argument", "page 2 is named twice"),
    (wrong, {"mask": [[1], [1]]}, "invalid-argument", "2 mask rows for 1 inputs"),
    (limit, {"mask": [[0, 2]]}, "invalid-argument", "mask row 0 covers 2 tokens"),
    (limit, {"mask": [[0, LARGEST, LARGEST]]}, "invalid-argument", "mask row 0 covers"),
    (limit, {"mask": Code(f"[[0] * ({MANY} + 1)]")}, "invalid-argument", "runs in the mask"),
    (limit, {"iemb": LONG}, "invalid-argument", f"give 1 to {MANY}"),
    (limit, {"ikv": LONG}, "invalid-argument", f"at most {MANY}"),
]
WRONG = [
    *(
        make("forward.forward", QUEUE, *arguments(**given), kind=kind, says=says)
        for make, given, kind, says in SHARED
    ),
    *(
        make("forward.forward-with-adapter", QUEUE, "poet", *arguments(**given), kind=kind, says=says)
        for make, given, kind, says in SHARED
    ),
    wrong("forward.forward", 7, *arguments(), kind="unknown-id", says="queue 7 does not exist"),
    wrong("forward.forward-with-adapter", QUEUE, "painter", *arguments(), says="there are: poet"),
    wrong("forward.forward-with-adapter", QUEUE, "", *arguments(), says="no adapter is named"),
    wrong("forward.available-adapters", "nobody's", kind="unknown-id", says="no model"),
    wrong("forward.mask-kvpage", QUEUE, NOBODY, 1, kind="unknown-id", says="page 99 was never allocated"),
    wrong("forward.mask-kvpage", 7, 0, 1, kind="unknown-id", says="queue 7"),
    limit("forward.mask-kvpage", QUEUE, 0, 1 << 16, says="more than the 16 tokens"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


async def answer(puppet: Puppet, emb: int) -> Any:
    dist = await puppet.made("output-text.get-next-dist", QUEUE, emb, 5, [])
    return await puppet.call("output-text.dist-top", dist, 5)


async def after(puppet: Puppet, given: dict[str, Any], adapter: str = "") -> Any:
    """The best tokens after token 7 at position 32."""
    await puppet.call("input-text.embed-txt", QUEUE, [7], [32], [1])
    head = ("forward.forward-with-adapter", QUEUE, adapter) if adapter else ("forward.forward", QUEUE)
    await puppet.call(*head, *arguments(**{"iemb": (1,), "oemb": (2,), **given}))
    return await answer(puppet, 2)


@call("forward.forward", "right")
async def test_inputs_see_pages_in_which_they_are_written_before_or_after(puppet: Puppet) -> None:
    seen = await after(puppet, {"ikv": (0, 1)})
    assert await after(puppet, {"ikv": (0, 1), "okv": (2,)}) == seen
    assert await after(puppet, {"ikv": (0,)}) != seen
    assert await after(puppet, {"ikv": (0, 1, 2), "okv": (3,), "offset": 15}) != seen


@call("forward.forward", "right")
async def test_hidden_states_are_those_of_the_inputs_that_were_chosen(puppet: Puppet) -> None:
    await puppet.call("input-text.embed-txt", QUEUE, [7, 8, 9], [0, 1, 2], [1, 2, 3])
    await puppet.call("forward.forward", QUEUE, *arguments((), (1, 2, 3), (), 0, (4, 5, 6)))
    every = [await answer(puppet, emb) for emb in (4, 5, 6)]
    await puppet.call("forward.forward", QUEUE, *arguments((), (1, 2, 3), (), 0, (4, 5), (2, 0)))
    assert [await answer(puppet, emb) for emb in (4, 5)] == [every[2], every[0]]
    await puppet.call("forward.forward", QUEUE, *arguments((), (1, 2, 3), (), 0, (4,)))
    assert await answer(puppet, 4) == every[2]


@call("forward.forward", "right")
@call("forward.mask-kvpage", "right")
@call("forward.mask-kvpage", "limit")
async def test_a_mask_a_page_mask_and_a_page_left_out_hide_the_same(puppet: Puppet) -> None:
    whole = await after(puppet, {"ikv": (0, 1)})
    assert await after(puppet, {"ikv": (0, 1), "mask": [[0, 33]]}) == whole
    first = await after(puppet, {"ikv": (0,)})
    assert await after(puppet, {"ikv": (0, 1), "mask": [[0, 16, 16, 1]]}) == first
    await puppet.call("forward.mask-kvpage", QUEUE, 1, 0)
    assert await after(puppet, {"ikv": (0, 1)}) == first
    await puppet.call("forward.mask-kvpage", QUEUE, 1, 0xFFFF)
    assert await after(puppet, {"ikv": (0, 1)}) == whole


@call("forward.forward", "limit")
async def test_a_page_is_filled_to_its_last_token(puppet: Puppet) -> None:
    embs = list(EMBS)
    await puppet.call("input-text.embed-txt", QUEUE, [7] * 8, list(range(8)), embs)
    await puppet.call("forward.forward", QUEUE, *arguments((), tuple(embs), (2,), 8, (0,)))
    await puppet.call("forward.forward", QUEUE, *arguments((2,), (1,), (2, 3), 31, (1,)))
    await puppet.made("runtime.synchronize", QUEUE)


@call("forward.available-adapters", "right")
@call("forward.available-adapters", "limit")
@call("forward.forward-with-adapter", "right")
async def test_an_adapter_answers_in_its_own_way(puppet: Puppet) -> None:
    assert await puppet.call("forward.available-adapters", "fake") == ["poet"]
    plain = await after(puppet, {"ikv": (0, 1)})
    assert await after(puppet, {"ikv": (0, 1)}, "poet") != plain
