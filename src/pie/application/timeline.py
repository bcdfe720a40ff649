"""A program's timeline in the trace event format of Chrome, for https://ui.perfetto.dev and chrome://tracing.

Each program is a process of the format, spawned ones too. Its threads: what the program itself did, then for
each queue what it waited for and the passes it took part in, and when its pages were off the device. Spans of
a thread are disjoint or lie within one another. What it waited for outside (tools) may overlap in any way, so
that those are asynchronous spans. Times are microseconds since the first program was launched.

Format: "Trace Event Format", Google, https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from collections.abc import Iterator
from typing import Any

from pie.control.trace import Happening, Trace

PROGRAM, MEMORY, FIRST_QUEUE = 1, 2, 10
"""Numbers of threads; each queue has two."""
MOST_PROGRAMS = 256
"""In one timeline: a program, what it has spawned, and so on."""

Event = dict[str, Any]


def make_timeline(trace: Trace, started_at: float) -> dict[str, Any]:
    """`started_at`: seconds since 1970."""
    events: list[Event] = []
    forgotten = 0
    for process, (each, parent) in enumerate(family(trace), 1):
        happenings = each.happenings()
        forgotten += each.forgotten(len(happenings))
        events += Writer(each, process, trace.began, parent).write(happenings)
    return {
        "traceEvents": sorted(events, key=_order),
        "displayTimeUnit": "ms",
        "otherData": {"program": trace.name, "started_at": started_at, "forgotten": forgotten},
    }


def family(trace: Trace) -> Iterator[tuple[Trace, str]]:
    """A program and the name of its parent, then those that it has spawned, parents first."""
    waiting, count = [(trace, "")], 0
    while waiting and count < MOST_PROGRAMS:
        found = waiting.pop(0)
        waiting += [(child, found[0].name) for child in found[0].children]
        count += 1
        yield found


class Writer:
    """Writes the events of one program."""

    def __init__(self, trace: Trace, process: int, zero: float, parent: str) -> None:
        self._trace = trace
        self._process = process
        self._zero = zero
        self._parent = parent
        self._events: list[Event] = []
        self._threads: dict[int, str] = {PROGRAM: "program"}

    def write(self, happenings: list[Happening]) -> list[Event]:
        self._write_life()
        runs = sorted((each for each in happenings if each[0] == "run"), key=lambda each: each[1:3])
        self._write_runs(runs, complete=not self._trace.forgotten(len(happenings)))
        for number, each in enumerate(happenings):
            match each[0]:
                case "call":
                    self._span(PROGRAM, each[3], "host call", each[1], each[2])
                case "pass":
                    self._write_pass(each)
                case "tool":
                    self._write_tool(number, each)
                case "suspended":
                    self._thread(MEMORY, "memory")
                    pages = {"pages moved to host memory": each[3]}
                    self._span(MEMORY, "suspended", "memory", each[1], each[2], pages)
        self._write_names()
        return self._events

    def _write_life(self) -> None:
        """A child's whole life, as one span: what its parent sees of it."""
        trace = self._trace
        if self._parent:
            end = trace.now() if trace.ended is None else trace.ended
            self._pair(f"child {trace.name}", "child", 0, trace.began, end, {"parent": self._parent})

    def _write_runs(self, runs: list[Happening], complete: bool) -> None:
        """And what it waited for in between."""
        trace = self._trace
        last, why = (trace.began if complete else None), "starts"
        for _, start, end, wait in runs:
            if last is not None:
                self._span(PROGRAM, why, "wait", last, start)
            self._span(PROGRAM, "runs", "run", start, end)
            last, why = end, f"waits: {wait}" if wait else "waits for its turn"
        if trace.ended is None and last is not None:
            self._span(PROGRAM, why, "wait", last, trace.now())

    def _write_pass(self, each: Happening) -> None:
        _, start, end, queue, number, since, sent, tokens, answers, programs, all_tokens, failed = each
        model = self._trace.queues[queue]
        waits, passes = FIRST_QUEUE + 2 * queue, FIRST_QUEUE + 2 * queue + 1
        self._thread(waits, f"queue {queue} ({model}): waits for a pass")
        self._thread(passes, f"queue {queue} ({model}): in a pass")
        if sent > since:
            self._span(waits, "queued", "queue", since, sent, {"pass": number})
        about = {
            "tokens of this queue": tokens,
            "samples and distributions of this queue": answers,
            "queues in the pass": programs,
            "tokens in the pass": all_tokens,
            "sent ahead (us)": _us(start - sent),
        }
        name = f"pass {number} failed" if failed else f"pass {number}"
        self._span(passes, name, "pass", start, end, about)

    def _write_tool(self, number: int, each: Happening) -> None:
        self._pair(each[3], "tool", number + 1, each[1], each[2], {})

    def _span(
        self, thread: int, name: str, kind: str, start: float, end: float, about: Event | None = None
    ) -> None:
        ts = _us(start - self._zero)
        event: Event = {
            "ph": "X", "name": name, "cat": kind, "pid": self._process, "tid": thread,
            "ts": ts, "dur": max(0, _us(end - self._zero) - ts),
        }  # fmt: skip
        self._events.append(event | {"args": about} if about else event)

    def _pair(self, name: str, kind: str, number: int, start: float, end: float, about: Event) -> None:
        same: Event = {
            "name": name, "cat": kind, "id": f"{self._process}.{number}", "pid": self._process,
            "tid": PROGRAM,
        }  # fmt: skip
        self._events.append(same | {"ph": "b", "ts": _us(start - self._zero), "args": about})
        self._events.append(same | {"ph": "e", "ts": _us(end - self._zero), "args": {}})

    def _thread(self, number: int, name: str) -> None:
        self._threads[number] = name

    def _write_names(self) -> None:
        """In the order in which they are to be shown."""
        self._name("process_name", 0, {"name": self._trace.name})
        self._name("process_sort_index", 0, {"sort_index": self._process})
        for number, name in self._threads.items():
            self._name("thread_name", number, {"name": name})
            self._name("thread_sort_index", number, {"sort_index": number})

    def _name(self, what: str, thread: int, about: Event) -> None:
        self._events.append(
            {"ph": "M", "name": what, "pid": self._process, "tid": thread, "ts": 0, "args": about}
        )


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def _order(event: Event) -> tuple[bool, int, int]:
    """Names first, then by time; what encloses something comes before it."""
    return event["ph"] != "M", event["ts"], -event.get("dur", 0)
