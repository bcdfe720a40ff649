"""Whatever happens to many programs: right answers or a reason, no standstill, nothing left behind."""

from collections import Counter

import pytest
from simulation import Simulation

FIRST = 1
COUNT = 90
PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
def test_each_simulation_ends_with_everything_accounted_for(part: int) -> None:
    """In full: `python tests/simulations --count 10000`."""
    for seed in range(FIRST + part, FIRST + COUNT, PARTS):
        Simulation(seed).run()


def test_simulations_have_suspensions_and_every_kind_of_fault() -> None:
    counts: Counter[str] = Counter()
    for seed in range(1000, 1020):
        counts += Simulation(seed).run().counts
    wanted = {"suspensions", "notices", "cancelled", "driver deaths", "passes failed", "answers"}
    wanted |= {"to disk", "pages damaged", "disk full"}
    assert wanted <= counts.keys()


def test_the_same_seed_is_the_same_simulation() -> None:
    first, second = Simulation(7), Simulation(7)
    first.run()
    second.run()
    assert first.world.passes == second.world.passes
