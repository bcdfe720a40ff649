"""Tenants share pages by weight: who is within its share gives nothing up to one that holds more."""

from typing import Any

import pytest
from test_pressure import PAGES, STEPS, crowded
from world import Program, World

NEEDS = 8
"""Pages that one program comes to hold."""


def begin(world: World, tenant: str, priority: int = 0) -> Program:
    """Two tokens in the first page, and a run of decoding behind them."""
    program = world.program(f"{tenant} {len(world.control._sessions)}", tenant=tenant)
    program.session.set_priority(program.queue, priority)
    program.alloc(PAGES, [0, 1])
    program.embed([5, 6], [0, 1], [0, 1])
    program.forward([0, 1], [], PAGES[:1], 0, [1])
    program.decode(2, PAGES, STEPS, program.name)
    return program


def tokens_alone() -> object:
    world = crowded(100, 0)
    program = begin(world, "alone")
    world.run()
    return world.recorder[program.name].value


def order_of_ends(world: World, programs: list[Program]) -> list[str]:
    """Tenants in the order in which runs end, with the tokens that each would hear alone."""
    left, found, wanted = {program.name: program for program in programs}, [], tokens_alone()
    for _ in range(5000):
        world.pump()
        for name in [name for name in left if name in world.recorder.labels]:
            assert world.recorder[name].value == wanted
            left[name].session.close()
            del left[name]
            found.append(name.split()[0])
        if not left:
            return found
        world.clock.run_next()
    raise AssertionError(f"{list(left)} have not ended")


def flooded(**settings: Any) -> tuple[World, list[Program]]:
    """Pages for five programs, ten of one tenant that came first, and so long ago that they hold them all."""
    world = crowded(5 * NEEDS, **settings)
    programs = [begin(world, "loud") for _ in range(10)]
    for _ in range(20):
        world.pump()
        world.clock.run_next()
    return world, programs


def test_a_newcomer_within_its_share_does_not_wait_for_a_flood_to_end() -> None:
    world, loud = flooded()
    quiet = [begin(world, "quiet") for _ in range(2)]
    ends = order_of_ends(world, loud + quiet)
    assert max(place for place, tenant in enumerate(ends) if tenant == "quiet") < 8


def test_a_tenant_of_more_weight_may_hold_more() -> None:
    places = {}
    for weight in (1.0, 4.0):
        world, loud = flooded(weights={"quiet": weight})
        ends = order_of_ends(world, loud + [begin(world, "quiet") for _ in range(8)])
        places[weight] = sum(place for place, tenant in enumerate(ends) if tenant == "quiet")
    assert places[4.0] < places[1.0]


def test_what_one_tenant_leaves_another_may_have() -> None:
    """Alone it runs as many as fit; nothing is kept free for those who are not here."""
    world, loud = flooded()
    held = sum(program.session.usage().pages for program in loud)
    assert held > 4 * NEEDS
    assert order_of_ends(world, loud) == ["loud"] * 10


@pytest.mark.parametrize("priority", [1, -1])
def test_priorities_count_for_more_than_shares(priority: int) -> None:
    world, loud = flooded()
    ends = order_of_ends(world, [*loud, begin(world, "quiet", priority)])
    assert ends.index("quiet") < 8 if priority > 0 else ends[-1] == "quiet"


def test_two_that_both_want_more_than_their_share_both_end() -> None:
    """Each holds half of the pages and wants more: the older one goes on, and then the other."""
    world = crowded(NEEDS)
    programs = [begin(world, tenant) for tenant in ("one", "other")]
    assert sorted(order_of_ends(world, programs)) == ["one", "other"]
