"""Passes that fail, drivers that die, queues that are poisoned."""

from typing import Any

import pytest
from world import Program, World, all_back

from pie.control import ControlSettings
from pie.control.batch import Batch
from pie.control.dispatch import Dispatcher
from pie.control.policies import Adaptive
from pie.control.ticket import Entry
from pie.control.work import EmbedWork
from pie.core.commands import Synchronize
from pie.core.errors import Cancelled, InternalError, QueueFailed, Unavailable, UnknownId
from pie.core.passes import Pass, PassResult
from pie.core.programs import Limits
from pie.testing import FakeExecutor


def decoding(world: World, name: str = "a") -> Program:
    program = world.program(name)
    program.prefill([5, 6], [1], f"{name} prefill")
    world.run()
    return program


def answer_alone() -> object:
    """What `step(7, 2, [1], ...)` answers when nothing goes wrong."""
    world = World()
    decoding(world).step(7, 2, [1], "d")
    world.pump()
    return world.recorder.dist("d")


def test_a_failed_pass_fails_every_queue_in_it_and_no_other(slow: World) -> None:
    a, b, bystander = (decoding(slow, name) for name in ("a", "b", "bystander"))
    a.step(7, 2, [1], "a")
    b.step(7, 2, [1], "b")
    slow.driver.fail_next("NaN in the logits")
    slow.pump()
    bystander.step(7, 2, [1], "bystander")
    slow.run()
    for name in "ab":
        error = slow.recorder.error(name)
        assert isinstance(error, InternalError)
        assert "NaN in the logits" in str(error)
    assert slow.recorder.dist("bystander") == answer_alone()


def test_a_poisoned_queue_refuses_commands_with_its_first_error_until_it_is_reset(world: World) -> None:
    program = decoding(world)
    world.driver.fail_next("first trouble")
    program.step(7, 2, [1], "failed")
    world.pump()
    with pytest.raises(QueueFailed, match=r"queue 0 has failed: .*first trouble.*reset_queue"):
        program.embed([7], [2], [0])
    assert "first trouble" in program.session.describe(program.queue)
    program.session.reset(program.queue)
    program.embed([7], [2], [0])
    world.pump()


def test_another_queue_of_the_same_program_goes_on(world: World) -> None:
    program = decoding(world)
    other = program.session.create_queue("fake")
    world.driver.fail_next("trouble")
    program.step(7, 2, [1], "failed")
    world.pump()
    program.synchronize("fine", other)
    world.pump()
    assert world.recorder["fine"].error is None


def test_pages_written_by_a_failed_pass_are_lost_until_allocated_again(world: World) -> None:
    program = decoding(world)
    program.fork([1], [2])
    world.pump()
    world.driver.fail_next("trouble")
    program.step(7, 2, [1], "failed")
    world.pump()
    program.session.reset(program.queue)
    program.embed([7], [2], [0])
    program.forward([0], ikv=[1])
    program.synchronize("reader")
    world.pump()
    assert isinstance(world.recorder.error("reader"), Unavailable)
    assert "the contents of page 1 were lost" in str(world.recorder.error("reader"))
    program.session.reset(program.queue)
    program.alloc([], [7])
    program.embed([7], [2], [0])
    program.forward([0], ikv=[2], oemb=[7])
    program.dist(7, "unharmed fork")
    world.pump()
    assert world.recorder.dist("unharmed fork") == answer_alone()
    program.free([1])
    program.alloc([1])
    program.embed([5, 6, 7], [0, 1, 2], [0, 1, 2])
    program.forward([0, 1, 2], okv=[1], oemb=[7])
    program.dist(7, "recomputed")
    world.pump()
    assert world.recorder.dist("recomputed") == answer_alone()


def test_embs_written_by_a_failed_pass_are_lost_until_written_again(world: World) -> None:
    program = decoding(world)
    world.driver.fail_next("trouble")
    program.embed([7], [2], [0])
    world.pump()
    program.session.reset(program.queue)
    program.dist(0, "lost")
    world.pump()
    assert "the contents of emb 0 were lost" in str(world.recorder.error("lost"))
    program.session.reset(program.queue)
    program.embed([7], [2], [0])
    program.dist(0, "again")
    world.pump()
    assert world.recorder.dist("again")


def test_a_fork_made_while_its_page_is_being_written_is_lost_with_it(slow: World) -> None:
    program = decoding(slow)
    other = program.session.create_queue("fake")
    slow.driver.fail_next("trouble")
    program.step(7, 2, [1], "failed")
    slow.pump()
    program.queue = other
    program.fork([1], [2])
    slow.run()
    program.embed([7], [2], [2])
    program.forward([2], ikv=[2])
    program.synchronize("reader")
    slow.run()
    assert "the contents of page 2 were lost" in str(slow.recorder.error("reader"))


def test_passes_behind_a_failed_one_fail_with_it() -> None:
    world = World(ControlSettings(policy="eager", passes_in_flight=2), auto=False)
    a, b = decoding(world, "a"), decoding(world, "b")
    a.step(7, 2, [1], "first")
    world.pump()
    b.step(7, 2, [1], "second")
    world.pump()
    world.driver.fail_next("trouble")
    world.run()
    assert "trouble" in str(world.recorder.error("second"))
    b.session.reset(b.queue)
    b.synchronize("later")
    world.run()
    assert world.recorder["later"].error is None


def test_a_reset_queue_is_not_poisoned_by_a_pass_sent_before(slow: World) -> None:
    program = decoding(slow)
    program.step(7, 2, [1], "failed")
    slow.driver.fail_next("trouble")
    slow.pump()
    program.session.reset(program.queue)
    slow.run()
    assert "trouble" in str(slow.recorder.error("failed"))
    program.synchronize("fine")
    slow.run()
    assert slow.recorder["fine"].error is None


def test_the_death_of_the_driver_fails_every_queue_and_what_is_in_flight(slow: World) -> None:
    a, idle = decoding(slow, "a"), decoding(slow, "idle")
    a.step(7, 2, [1], "in flight")
    slow.pump()
    a.dist(1, "waiting")
    slow.driver.kill("signal 9")
    slow.control.check_integrity()
    for label in ("in flight", "waiting"):
        error = slow.recorder.error(label)
        assert isinstance(error, Unavailable)
        assert "signal 9" in str(error)
    assert "signal 9" in idle.session.describe(idle.queue)
    assert slow.free_pages == slow.spec.pages
    assert slow.free_embs == slow.spec.embs


def test_while_the_driver_is_down_submissions_fail_at_once(world: World) -> None:
    program = decoding(world)
    world.driver.kill("signal 9")
    with pytest.raises(Unavailable, match=r"the driver of fake stopped \(signal 9\); try again"):
        program.step(7, 2, [1], "d")
    newcomer = world.program("new")
    with pytest.raises(Unavailable):
        newcomer.alloc([1])
    assert world.control.statistics().models["fake"].down
    world.pump()


def test_giving_back_needs_no_driver(world: World) -> None:
    program = decoding(world)
    world.driver.kill("signal 9")
    program.session.reset(program.queue)
    program.free(pages=[1])
    with pytest.raises(UnknownId, match="page 1 was freed"):
        program.free(pages=[1])
    world.restore()
    world.control.check_integrity()


def test_new_programs_work_when_the_driver_is_back(world: World) -> None:
    decoding(world, "old")
    world.driver.kill()
    world.restore()
    program = decoding(world, "new")
    program.step(7, 2, [1], "d")
    world.pump()
    assert world.recorder.dist("d") == answer_alone()
    assert not world.control.statistics().models["fake"].down


def test_an_old_program_recovers_by_reset_and_new_pages(world: World) -> None:
    program = decoding(world)
    world.driver.kill()
    world.restore()
    with pytest.raises(QueueFailed, match="reset_queue"):
        program.synchronize("refused")
    program.session.reset(program.queue)
    program.free([1], [0, 1, 2])
    program.prefill([5, 6], [1], "again")
    program.step(7, 2, [1], "d")
    world.pump()
    assert world.recorder.dist("d") == answer_alone()
    assert all_back(program.session, world)


def test_contents_of_a_dead_driver_cannot_be_read(world: World) -> None:
    program = decoding(world)
    world.driver.kill()
    world.restore()
    program.session.reset(program.queue)
    program.embed([7], [2], [0])
    program.forward([0], ikv=[1])
    program.synchronize("reader")
    world.pump()
    assert "the contents of page 1 were lost" in str(world.recorder.error("reader"))


def test_a_late_answer_of_a_dead_driver_is_ignored(slow: World) -> None:
    program = decoding(slow)
    program.step(7, 2, [1], "in flight")
    slow.pump()
    number = slow.passes[-1].number
    slow.driver.kill()
    slow.driver._done(PassResult(number, 1.0))
    slow.restore()
    slow.driver._done(PassResult(number, 1.0))
    slow.control.check_integrity()
    assert isinstance(slow.recorder.error("in flight"), Unavailable)


class Shapeless(FakeExecutor):
    """Answers without the distributions it was asked for."""

    def execute(self, work: Pass) -> PassResult:
        return PassResult(work.number, 0.0)


def test_an_answer_of_the_wrong_shape_fails_the_pass_and_not_the_server(world: World) -> None:
    program = decoding(world)
    world.driver.kill()
    world.driver.restore(Shapeless(world.spec))
    program.session.reset(program.queue)
    program.free([1], [0, 1, 2])
    program.prefill([5, 6], [1], "d")
    world.pump()
    assert "wrong shape" in str(world.recorder.error("d"))


def test_a_driver_that_refuses_a_pass_fails_its_queues(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    program = decoding(world)
    world.driver.alive = False
    program.step(7, 2, [1], "d")
    world.pump()
    assert "the driver did not take the pass" in str(world.recorder.error("d"))
    assert "did not take pass" in caplog.text
    world.driver.alive = True
    program.session.reset(program.queue)
    program.synchronize("after")
    world.pump()
    assert world.recorder["after"].error is None


class Explodes:
    def resolve(self, _: object) -> None:
        raise ValueError("a bug in the room above")

    fail = resolve


def test_a_completion_that_raises_harms_nobody_else(slow: World, caplog: pytest.LogCaptureFixture) -> None:
    a, b = decoding(slow, "a"), decoding(slow, "b")
    a.step(7, 2, [1], "a")
    a.session.submit(a.queue, Synchronize(), Explodes())
    b.step(7, 2, [1], "b")
    slow.run()
    assert slow.recorder.dist("b") == answer_alone()
    assert "a bug in the room above" in caplog.text


def test_reset_cancels_what_waits_and_frees_what_it_would_have_freed(slow: World) -> None:
    program = decoding(slow)
    program.step(7, 2, [1], "in flight")
    slow.pump()
    program.dist(1, "waiting")
    program.free([1], [0, 1, 2])
    program.session.reset(program.queue)
    slow.pump()
    assert isinstance(slow.recorder.error("waiting"), Cancelled)
    assert slow.free_pages == slow.spec.pages
    slow.run()
    assert slow.recorder.dist("in flight") == answer_alone()


def test_pages_whose_fork_was_dropped_are_empty(slow: World) -> None:
    program = decoding(slow)
    program.step(7, 2, [1], "in flight")
    slow.pump()
    program.embed([8], [3], [2])
    program.fork([1], [2])
    program.session.reset(program.queue)
    program.free([2])
    slow.run()
    assert all_back(program.session, slow)


def test_a_limit_reached_by_commands_that_were_dropped_is_free_again(slow: World) -> None:
    program = slow.program(limits=Limits(calls_in_flight=2))
    program.alloc([], [1])
    program.embed([1], [0], [1])
    slow.pump()
    program.embed([1], [0], [1])
    slow.driver.kill()
    slow.restore()
    program.session.reset(program.queue)
    program.embed([1], [0], [1])
    program.embed([1], [0], [1])
    slow.run()


def test_a_mistake_in_planning_one_command_fails_its_queue_alone(
    slow: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a, bystander = decoding(slow), decoding(slow, "bystander")
    place = Batch.place

    def broken(batch: Batch, entry: Entry, work: Any) -> bool:
        if isinstance(work, EmbedWork) and entry.queue.account is a.session._account:
            raise ZeroDivisionError("nobody thought of that")
        return place(batch, entry, work)

    monkeypatch.setattr(Batch, "place", broken)
    a.step(7, 2, [1], "a")
    bystander.step(7, 2, [1], "bystander")
    slow.run()
    assert "planning EmbedWork of queue 0 failed with ZeroDivisionError" in str(slow.recorder.error("a"))
    assert slow.recorder.dist("bystander") == answer_alone()
    assert "nobody thought of that" in caplog.text
    monkeypatch.undo()
    bystander.session.close()
    assert all_back(a.session, slow)


@pytest.mark.parametrize(("owner", "method"), [(Adaptive, "send_at"), (Dispatcher, "_answer")])
def test_a_mistake_that_is_nobodys_fails_everybody_at_once_and_leaves_nobody_waiting(
    slow: World, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    programs = {name: decoding(slow, name) for name in ("a", "b")}

    def broken(*_: object) -> float:
        raise ZeroDivisionError("nobody thought of that")

    monkeypatch.setattr(owner, method, broken)
    for name, program in programs.items():
        program.step(7, 2, [1], name)
    slow.run()
    for name in programs:
        assert "nobody thought of that" in str(slow.recorder.error(name))
    monkeypatch.undo()
    programs["a"].session.reset(programs["a"].queue)
    decoding(slow, "later").session.close()
    programs["b"].session.close()
    assert all_back(programs["a"].session, slow)
