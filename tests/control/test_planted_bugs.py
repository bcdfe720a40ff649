"""Each of these bugs, put into the control layer on purpose, is found by the random programs."""

from collections.abc import Callable
from typing import Any

import pytest
from random_programs import RandomPrograms

from pie.control import errands, placing_decode, placing_forward
from pie.control.batch import Batch
from pie.control.claims import Claims
from pie.control.conflicts import Touched
from pie.control.desk import Desk
from pie.control.leases import PageLease, SlotLease
from pie.control.memory import Memory
from pie.control.planner import Planner
from pie.control.pool import Pool
from pie.control.work import DecodeWork, ForwardWork
from pie.core.errors import InternalError

Patch = Callable[[pytest.MonkeyPatch], None]


def write_to_shared_pages(patch: pytest.MonkeyPatch) -> None:
    def claim(self: Claims, lease: PageLease) -> bool:
        if lease.physical is None:
            self.claim_fresh(lease)
        return True

    patch.setattr(Claims, "write", claim)


def copy_into_shared_pages(patch: pytest.MonkeyPatch) -> None:
    def claim(self: Claims, lease: PageLease) -> bool:
        if lease.physical is None:
            self.claim_fresh(lease)
            return True
        return self._batch.touched.may_copy_to(lease.physical)

    patch.setattr(Claims, "copy_to", claim)


def copy_too_little_of_a_shared_page(patch: pytest.MonkeyPatch) -> None:
    give = Claims.give

    def give_less(self: Claims, *args: Any) -> None:
        copies = self._batch.columns.copies
        before = len(copies)
        give(self, *args)
        for i in range(before + 4, len(copies), 5):
            copies[i] -= 1

    patch.setattr(Claims, "give", give_less)


def give_freed_pages_away_within_the_pass(patch: pytest.MonkeyPatch) -> None:
    release = Pool.release

    def release_at_once(self: Pool[Any], held: Any) -> None:
        release(self, held)
        self.settle()

    patch.setattr(Pool, "release", release_at_once)


def store_at_the_wrong_offset(patch: pytest.MonkeyPatch) -> None:
    add = placing_forward.add_targets

    def add_shifted(batch: Batch, work: ForwardWork, count: int) -> None:
        targets = batch.columns.targets
        before = len(targets)
        add(batch, work, count)
        if count > 1 and work.writes:
            targets[before:] = reversed(targets[before:])

    patch.setattr(placing_forward, "add_targets", add_shifted)


def forget_that_pages_are_fresh(patch: pytest.MonkeyPatch) -> None:
    give = Claims.give

    def give_stale(self: Claims, *args: Any) -> None:
        give(self, *args)
        self._batch.columns.fresh_pages.clear()

    patch.setattr(Claims, "give", give_stale)


def read_pages_in_another_order(patch: pytest.MonkeyPatch) -> None:
    find = placing_forward.find_pages

    def find_reversed(*args: Any) -> Any:
        pages = find(*args)
        return pages and list(reversed(pages))

    patch.setattr(placing_forward, "find_pages", find_reversed)


def ignore(conflict: str) -> Patch:
    def apply(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(Touched, conflict, lambda *_: True)

    return apply


def forget(touched: str) -> Patch:
    """A conflict set that stays empty."""

    class Nothing(set[Any]):
        def add(self, _: Any) -> None: ...

        def update(self, *_: Any) -> None: ...

    def apply(patch: pytest.MonkeyPatch) -> None:
        begin = Touched.__init__

        def begin_without(self: Touched) -> None:
            begin(self)
            setattr(self, touched, Nothing())

        patch.setattr(Touched, "__init__", begin_without)

    return apply


def embed_the_tokens_of_runs_a_position_too_late(patch: pytest.MonkeyPatch) -> None:
    sample, embed, forward = placing_decode.PARTS

    def embed_late(run: DecodeWork, step: int, page_size: int) -> Any:
        return embed(run, step + 1, page_size)

    patch.setattr(placing_decode, "PARTS", (sample, embed_late, forward))


def forget_what_is_under_way_in_the_penalties_of_runs(patch: pytest.MonkeyPatch) -> None:
    def make(run: DecodeWork, step: int, page_size: int) -> Any:
        run.known = step
        return placing_decode.make_sample(run, step, page_size)

    patch.setattr(placing_decode, "PARTS", (make, *placing_decode.PARTS[1:]))


class Late:
    """A slot as it is when somebody looks."""

    def __init__(self, desk: Desk, lease: SlotLease) -> None:
        self._desk = desk
        self._place = lease.physical

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk.memory.sampled[self._place], name)  # type: ignore[index]


def read_slots_as_they_are_when_the_answer_comes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(errands, "_sampled", Late)


def leak_pages_of_closed_programs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Memory, "close_space", lambda self, space, _: self.spaces.pop(space))


def leak_what_a_reset_queue_would_have_freed(patch: pytest.MonkeyPatch) -> None:
    def drop(self: Planner, queue: Any, *_: Any) -> None:
        queue.take_all()
        self.waiting.pop(queue, None)

    patch.setattr(Planner, "drop", drop)


def share_without_counting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pool, "share", lambda *_: None)


def fork_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Memory, "fork_page", lambda *_: None)


def execute_out_of_order(patch: pytest.MonkeyPatch) -> None:
    """Each queue's commands are taken from the wrong end when two wait."""
    take = Planner._take_prefix

    def take_swapped(self: Planner, batch: Any, entry: Any, now: float) -> None:
        work = entry.queue.work
        if len(work) > 1:
            work[0], work[1] = work[1], work[0]
        take(self, batch, entry, now)

    patch.setattr(Planner, "_take_prefix", take_swapped)


BUGS: dict[str, Patch] = {
    "write to shared pages": write_to_shared_pages,
    "copy into shared pages": copy_into_shared_pages,
    "copy too little of a shared page": copy_too_little_of_a_shared_page,
    "give freed pages away within the pass": give_freed_pages_away_within_the_pass,
    "store at the wrong offset": store_at_the_wrong_offset,
    "forget that pages are fresh": forget_that_pages_are_fresh,
    "read pages in another order": read_pages_in_another_order,
    "copy from what the pass writes": ignore("may_copy_from"),
    "copy to what the pass reads": ignore("may_copy_to"),
    "write to what the pass reads": ignore("may_write"),
    "forget which pages are written": forget("pages_written"),
    "forget which pages are read": forget("pages_read"),
    "forget which pages are masked": forget("pages_masked"),
    "forget which embs are touched": forget("embs"),
    "forget which embs are produced": forget("embs_produced"),
    "forget which embs are scored": forget("embs_scored"),
    "forget which slots are sampled": forget("slots_sampled"),
    "embed the tokens of runs a position too late": embed_the_tokens_of_runs_a_position_too_late,
    "forget what is under way in the penalties of runs": forget_what_is_under_way_in_the_penalties_of_runs,
    "read slots as they are when the answer comes": read_slots_as_they_are_when_the_answer_comes,
    "leak pages of closed programs": leak_pages_of_closed_programs,
    "leak what a reset queue would have freed": leak_what_a_reset_queue_would_have_freed,
    "share without counting": share_without_counting,
    "fork nothing": fork_nothing,
    "execute out of order": execute_out_of_order,
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[bug](monkeypatch)
    with pytest.raises((AssertionError, InternalError)):
        for seed in range(300):
            RandomPrograms(seed).run(60)
