"""Pages of suspended programs on disk: behind host memory, and lost where the disk loses them."""

from test_pressure import PAGES, Crowd, alone, begin, suspensions
from world import World

from pie.control import ControlSettings
from pie.core.errors import Unavailable
from pie.testing import fake_spec


def behind(host_pages: int, disk_pages: int, pages: int = len(PAGES)) -> World:
    spec = fake_spec(pages, embs=400, page_size=4, slots=200, host_pages=host_pages, disk_pages=disk_pages)
    return World(ControlSettings(), spec, auto=False)


def on_disk(world: World) -> int:
    return world.control.statistics().models["fake"].pages.on_disk


def test_programs_whose_pages_went_to_disk_give_the_tokens_they_give_alone() -> None:
    world = behind(3, 1000, 2 * len(PAGES))
    crowd = Crowd(world, 10)
    crowd.run()
    assert crowd.tokens == {str(number): alone(number) for number in range(10)}
    assert suspensions(world) > 0
    assert any(place >= 3 for work in world.passes for place in work.swap_outs[1::2])
    assert world.free_pages == world.spec.pages
    assert on_disk(world) == 0


def test_host_memory_is_taken_before_disk() -> None:
    world = behind(5, 20)
    begin(world, 0)
    world.run()
    used = world.control.statistics().models["fake"].pages.held
    begin(world, 1)
    world.run()
    assert on_disk(world) == used - 5
    assert world.control.statistics().models["fake"].pages.swapped == used


def test_a_program_whose_pages_come_from_disk_goes_on_when_they_are_seen_to_be_whole() -> None:
    """So nothing is ever computed from a page that was damaged."""
    world = behind(0, 20)
    idle = begin(world, 0)
    world.run()
    begin(world, 1).world.run()
    idle.dist(1, "again")
    world.run()
    back = next(work for work in world.passes if work.swap_ins)
    assert not back.dist_slots
    assert world.recorder["again"].error is None


def test_a_page_that_the_disk_has_lost_is_an_error_of_its_owner_alone_that_says_why() -> None:
    world = behind(0, 20)
    idle = begin(world, 0)
    world.run()
    other = begin(world, 1)
    world.run()
    world.executor.damaged[4] = "the disk: Input/output error"
    idle.forward([0], PAGES, [], 0, [1])
    idle.dist(1, "lost")
    other.dist(1, "neighbour")
    world.run()
    error = world.recorder.error("lost")
    assert isinstance(error, Unavailable)
    assert "lost while its program was suspended (the disk: Input/output error)" in str(error)
    assert world.recorder["neighbour"].error is None
    idle.session.reset(idle.queue)
    idle.forward([0], PAGES[:3], [], 0, [1])
    idle.dist(1, "its other pages are whole")
    world.run()
    assert world.recorder["its other pages are whole"].error is None


def test_when_the_disk_is_full_those_whose_pages_do_not_fit_hear_of_it_and_nobody_else() -> None:
    world = behind(0, 20)
    idle = begin(world, 0)
    world.run()
    world.executor.disk_is_full = True
    begin(world, 1)
    world.run()
    assert world.recorder["1"].value == alone(1)
    idle.forward([0], PAGES, [], 0, [1])
    idle.dist(1, "again")
    world.run()
    assert "the disk is full" in str(world.recorder.error("again"))


def test_a_driver_that_dies_while_pages_come_from_disk_loses_them_and_the_program_can_begin_again() -> None:
    world = behind(0, 20)
    idle = begin(world, 0)
    world.run()
    begin(world, 1)
    world.run()
    idle.dist(1, "again")
    while not (world.driver._waiting and world.driver._waiting[0].swap_ins):
        world.pump()
        world.clock.advance(0.25)
    world.driver.kill()
    world.restore()
    world.run()
    assert isinstance(world.recorder.error("again"), Unavailable)
    idle.session.reset(idle.queue)
    idle.free(PAGES, [0, 1])
    assert on_disk(world) == 0
    idle.alloc(PAGES, [0, 1])
    idle.embed([5, 6], [0, 1], [0, 1])
    idle.forward([0, 1], [], PAGES[:1], 0, [1])
    idle.dist(1, "anew")
    world.run()
    assert world.recorder["anew"].error is None


def test_a_program_that_ends_while_its_pages_come_from_disk_leaves_nothing_behind() -> None:
    world = behind(0, 20)
    idle = begin(world, 0)
    world.run()
    other = begin(world, 1)
    world.run()
    idle.dist(1, "again")
    while not (world.driver._waiting and world.driver._waiting[0].swap_ins):
        world.pump()
        world.clock.advance(0.25)
    idle.session.close()
    world.run()
    other.session.close()
    world.control.check_integrity()
    assert (world.free_pages, on_disk(world)) == (world.spec.pages, 0)
