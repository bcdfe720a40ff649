"""What a program's trace keeps of its passes, waits and suspensions."""

from itertools import pairwise
from typing import Any

from world import World

from pie.application.timeline import make_timeline
from pie.control import ControlSettings
from pie.control.trace import Trace
from pie.testing import ManualClock, fake_spec


def spans(timeline: dict[str, Any], kind: str) -> list[tuple[str, int, int]]:
    """Name, begin and end of each span of a kind."""
    events = [event for event in timeline["traceEvents"] if event.get("cat") == kind and event["ph"] == "X"]
    return [(event["name"], event["ts"], event["ts"] + event["dur"]) for event in events]


def check_nesting(timeline: dict[str, Any]) -> None:
    """Spans of one thread lie within one another or beside."""
    threads: dict[tuple[int, int], list[int]] = {}
    for event in timeline["traceEvents"]:
        if event["ph"] != "X":
            continue
        open_ends = threads.setdefault((event["pid"], event["tid"]), [])
        while open_ends and open_ends[-1] <= event["ts"]:
            open_ends.pop()
        end = event["ts"] + event["dur"]
        assert not open_ends or end <= open_ends[-1], event
        open_ends.append(end)


def test_a_pass_shows_from_when_the_driver_began_and_how_long_its_queue_had_waited() -> None:
    slow = World(ControlSettings(passes_in_flight=1), auto=False)
    program = slow.program()
    trace = program.session.trace
    assert trace is not None
    program.prefill([1, 2, 3], [0], "a")
    slow.pump()
    slow.clock.advance(0.25)
    program.step(4, 3, [0], "b")
    slow.run()
    timeline = make_timeline(trace, 0.0)
    assert spans(timeline, "pass") == [("pass 1", 0, 1_000_000), ("pass 2", 1_000_000, 2_000_000)]
    [(_, since, sent)] = spans(timeline, "queue")
    assert (since, sent) == (250_000, 1_000_000)
    check_nesting(timeline)


def test_a_run_that_is_sent_ahead_of_the_driver_has_passes_side_by_side(slow: World) -> None:
    program = slow.program()
    program.prefill([1, 2, 3], [0, 1, 2], "a")
    slow.run()
    program.embed([4], [3], [0])
    program.forward([0], [0], [0], 3, [1])
    program.decode(4, [0, 1, 2], 5, "run")
    slow.run()
    trace = program.session.trace
    assert trace is not None
    timeline = make_timeline(trace, 0.0)
    check_nesting(timeline)
    passes = spans(timeline, "pass")
    assert len(passes) == len(slow.passes)
    assert all(first[2] <= second[1] for first, second in pairwise(passes))
    about = next(event["args"] for event in timeline["traceEvents"] if event.get("name") == "pass 1")
    assert (about["tokens of this queue"], about["queues in the pass"]) == (3, 1)


def test_a_suspended_program_shows_when_its_pages_were_away() -> None:
    world = World(ControlSettings(idle_ms=0), fake_spec(4, 64, 4, host_pages=8), auto=False)
    first, second = world.program("first"), world.program("second")
    second.prefill([1, 2, 3, 4, 5], [0, 1], "second")
    world.run()
    first.prefill(list(range(12)), [0, 1, 2], "first")
    world.run()
    second.step(6, 5, [0, 1], "again")
    world.pump()
    first.session.close()
    world.run()
    trace = second.session.trace
    assert trace is not None
    timeline = make_timeline(trace, 0.0)
    [(_, left, back)] = spans(timeline, "memory")
    assert left < back
    check_nesting(timeline)


def test_a_failed_pass_says_so(slow: World) -> None:
    program = slow.program()
    slow.driver.fail_next("broken")
    program.prefill([1, 2], [0], "a")
    slow.run()
    trace = program.session.trace
    assert trace is not None
    [(name, _, _)] = spans(make_timeline(trace, 0.0), "pass")
    assert name == "pass 1 failed"


def test_only_the_latest_are_kept_and_what_is_rare_is_not_pushed_out() -> None:
    clock = ManualClock()
    trace = Trace("mine", clock.now, 10)
    trace.end(trace.begin("http GET example.org"))
    for number in range(100):
        clock.advance(1)
        trace.runs()
        trace.call(f"call {number}", clock.now())
        trace.rests()
    timeline = make_timeline(trace, 0.0)
    names = {event["name"] for event in timeline["traceEvents"]}
    assert {"call 99", "call 95", "http GET example.org"} <= names
    assert "call 94" not in names
    assert timeline["otherData"]["forgotten"] == 190
    check_nesting(timeline)


def test_after_the_end_the_same_is_told_from_a_few_bytes() -> None:
    clock = ManualClock()
    trace = Trace("mine", clock.now, 1000)
    for number in range(500):
        clock.advance(0.001)
        trace.runs()
        trace.call("forward", clock.now())
        trace.waiting = "model"
        trace.rests()
        if number == 250:
            trace.begin("sleep")
    before = make_timeline(trace, 0.0)
    trace.close()
    after = make_timeline(trace, 0.0)
    for kind in ("run", "host call"):
        assert spans(after, kind) == spans(before, kind)
    assert len(spans(after, "wait")) == len(spans(before, "wait")) - 1, "at its end it waits for nothing"
    assert trace.kept_bytes < 40_000


def test_a_copy_stays_as_it_was_and_has_its_children() -> None:
    trace, child = (Trace(name, ManualClock().now, 10) for name in ("parent", "child"))
    trace.children.append(child)
    twin = trace.copy()
    for each in (trace, child):
        each.runs()
        each.rests()
        each.begin("sleep")
    names = {event["name"] for event in make_timeline(twin, 0.0)["traceEvents"]}
    assert "child child" in names
    assert not {"runs", "sleep"} & names


def test_without_events_there_is_no_trace() -> None:
    world = World(ControlSettings(trace_events=0))
    program = world.program()
    program.prefill([1, 2], [0], "a")
    world.run()
    assert program.session.trace is None
