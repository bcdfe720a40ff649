"""Launches are bounded, wait in turns, and are refused with an answer that helps."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox import make_application, make_control, shared_home

from pie.application.admission import Admission, AdmissionSettings, Rate, Waiting
from pie.core.errors import Overloaded
from pie.core.events import Failed, Finished
from pie.core.programs import Launch, Limits, Source


class Gate:
    """An admission with a clock of its own, and who was let in, in order."""

    def __init__(self, places: int, queue: int, **settings: float) -> None:
        self.now = 0.0
        self.admission = Admission(AdmissionSettings(places, queue, **settings), lambda: self.now)  # type: ignore[arg-type]
        self.let_in: list[str] = []

    def launch(self, name: str, tenant: str = "a", size: int = 1, may_wait: bool = True) -> Waiting | None:
        waiting = self.admission.enter(tenant, size, may_wait, lambda: self.let_in.append(name))
        if waiting is None:
            self.let_in.append(name)
        return waiting

    def end(self, tenant: str = "a", seconds: float = 1.0) -> None:
        self.now += seconds
        self.admission.leave(tenant)


def test_a_launch_takes_a_free_place_and_waits_where_there_is_none() -> None:
    gate = Gate(1, 1)
    assert gate.launch("first") is None
    assert gate.launch("second") is not None
    gate.end()
    assert gate.let_in == ["first", "second"]


def test_beyond_the_queue_a_launch_is_refused_with_a_time_and_counted() -> None:
    gate = Gate(1, 1)
    gate.launch("runs")
    gate.launch("waits")
    words = r"1 programs run.* 1 launches wait.*in 5 s, or.*--launch-queue"
    with pytest.raises(Overloaded, match=words) as refused:
        gate.launch("too many")
    assert refused.value.retry_after == 5
    assert gate.admission.rejected == {"queue_full": 1}


def test_the_time_to_come_back_follows_from_how_often_programs_end() -> None:
    gate = Gate(10, 20)
    for number in range(130):
        if number >= 30:
            gate.end(seconds=0.5)
        gate.launch(str(number))
    with pytest.raises(Overloaded) as refused:
        for number in range(30):
            gate.launch(str(number))
    assert refused.value.retry_after == 2  # three ends, one each half second


def test_places_go_to_tenants_in_turns_and_to_the_oldest_launch_of_each() -> None:
    gate = Gate(1, 100)
    gate.launch("runs")
    for number in range(50):
        gate.launch(f"flood {number}", "flood")
    for number in range(2):
        gate.launch(f"quiet {number}", "quiet")
    gate.end("a")
    for tenant in ("flood", "quiet", "flood", "quiet"):
        gate.end(tenant)
    assert gate.let_in[1:] == ["flood 0", "quiet 0", "flood 1", "quiet 1", "flood 2"]


def test_a_tenant_has_its_share_of_places_and_queue() -> None:
    gate = Gate(4, 4, share=0.5)
    for number in range(4):
        gate.launch(str(number))
    assert gate.let_in == ["0", "1"]
    with pytest.raises(Overloaded, match="2 launches of tenant a wait, its share of 4"):
        gate.launch("one more")
    assert gate.launch("of another", "b") is None
    gate.end()
    assert gate.let_in[-1] == "2"


def test_a_launch_that_may_not_wait_is_refused_where_it_would_have_to() -> None:
    gate = Gate(1, 100)
    gate.launch("runs")
    with pytest.raises(Overloaded):
        gate.launch("in a hurry", may_wait=False)
    assert gate.admission.rejected == {"no_place": 1}


def test_what_waits_is_bounded_in_bytes_too() -> None:
    gate = Gate(1, 100, queue_bytes=1000)
    gate.launch("runs", size=5000)
    gate.launch("waits", size=900)
    with pytest.raises(Overloaded, match="send long data as messages"):
        gate.launch("long", size=200)


def test_who_comes_later_does_not_overtake_those_of_his_tenant() -> None:
    gate = Gate(2, 100, share=0.5)
    gate.launch("a runs")
    gate.launch("a waits")
    gate.launch("b runs", "b")
    gate.end("b")
    assert gate.launch("a comes") is not None
    gate.end("a")
    assert gate.let_in == ["a runs", "b runs", "a waits"]


def test_a_spawned_program_gets_a_place_at_once_or_an_error() -> None:
    gate = Gate(2, 100)
    gate.launch("parent")
    gate.admission.enter_child("a")
    with pytest.raises(Overloaded):
        gate.admission.enter_child("a")


@given(st.lists(st.sampled_from(["launch a", "launch b", "launch c", "end", "withdraw"]), max_size=200))
def test_no_place_is_lost_none_is_given_twice_and_none_is_free_while_somebody_could_have_it(
    happenings: list[str],
) -> None:
    gate = Gate(3, 5, share=0.7)
    running: deque[str] = deque()
    waiting: dict[str, Waiting] = {}

    def launch(name: str, tenant: str) -> None:
        def admit() -> None:
            waiting.pop(name)
            running.append(tenant)

        found = gate.admission.enter(tenant, 1, True, admit)
        if found is None:
            running.append(tenant)
        else:
            waiting[name] = found

    for number, happening in enumerate(happenings):
        if happening == "end" and running:
            gate.admission.leave(running.popleft())
        elif happening == "withdraw" and waiting:
            gate.admission.withdraw(waiting.pop(next(iter(waiting))))
        elif happening.startswith("launch"):
            try:
                launch(str(number), happening[-1])
            except Overloaded:
                assert len(waiting) == 5 or sum(one.tenant == happening[-1] for one in waiting.values()) == 3
        assert gate.admission.running.total() == len(running) <= 3
        assert gate.admission.waiting_count == len(waiting)
        for one in waiting.values():
            assert len(running) == 3 or running.count(one.tenant) == 2


def test_a_rate_forgets_what_is_long_ago() -> None:
    rate = Rate(10.0)
    for second in range(200):
        rate.note(second / 10)
    assert rate.per_second(20.0) == pytest.approx(10.0, rel=0.1)
    assert rate.per_second(120.0) < 0.01


# With programs

ENDLESS = Launch(Source("def main():\n    while True: pass"))
QUICK = Launch(Source("def main():\n    return 'done'"))
wasm = pytest.mark.wasm


@wasm
async def test_a_launch_waits_for_its_turn_and_then_runs() -> None:
    application = make_application(make_control()[0], shared_home(), admission=AdmissionSettings(1, 10))
    await application.start()
    first = application.launch(ENDLESS)
    second, third = application.launch(QUICK), application.launch(QUICK)
    assert (first.state, second.state) == ("starting", "waiting")
    assert (application.statistics().alive, application.statistics().waiting) == (1, 2)
    first.cancel()
    assert [await second.wait(), await third.wait()] == [Finished("done")] * 2
    await application.close(grace_seconds=0)


@wasm
async def test_a_waiting_launch_can_be_cancelled_and_times_out_and_is_drained() -> None:
    control = make_control()[0]
    application = make_application(control, shared_home(), admission=AdmissionSettings(1, 10))
    await application.start()
    application.launch(ENDLESS)
    cancelled = application.launch(QUICK)
    cancelled.cancel()
    assert await cancelled.wait() == Failed("cancelled", "the program was cancelled")
    late = application.launch(Launch(QUICK.program, limits=Limits(wait_seconds=0.01)))
    ended = await late.wait()
    assert isinstance(ended, Failed)
    assert (ended.reason, application.statistics().rejected) == ("deadline", {"timeout": 1})
    assert "no place became free within 0.01 s" in ended.message
    waits = application.launch(QUICK)
    await application.close(grace_seconds=0)
    ended = await waits.wait()
    assert isinstance(ended, Failed)
    assert ended.reason == "cancelled"
    assert "had not begun" in ended.message
    assert control.statistics().sessions == 0


@wasm
async def test_messages_wait_with_their_launch() -> None:
    application = make_application(make_control()[0], shared_home(), admission=AdmissionSettings(1, 10))
    await application.start()
    first = application.launch(ENDLESS)
    text = "import inferlet\nasync def main():\n    return await inferlet.receive()"
    second = application.launch(Launch(Source(text)))
    second.post("hello")
    first.cancel()
    assert await second.wait() == Finished("hello")
    await application.close(grace_seconds=0)
