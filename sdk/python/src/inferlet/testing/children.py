"""Programs that a program launches, on the fake: each runs when its parent first waits for it, to its end."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from inferlet.runner import MODULE_NAME, ProgramFailed, run_program
from inferlet.testing.pages import ErrorKind, HostError, invalid
from inferlet.testing.records import Program_Function, Program_Myself, Program_Named, Program_Source
from inferlet.testing.sources import Readable, SourceText, read_source
from inferlet.testing.waiting import FakeFutures, Pending


class ChildHost(Protocol):
    """As much of a fake host as a parent needs of its child's."""

    @property
    def sent(self) -> list[str | bytes]: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, *details: Any) -> None: ...


MakeHost = Callable[[list[str], deque[str | bytes]], ChildHost]


class Child:
    """One child."""

    def __init__(self, source: SourceText, args: list[str], make_host: MakeHost) -> None:
        self.messages: deque[str | bytes] = deque()
        """What the parent has sent."""
        self.sent: deque[str | bytes] = deque()
        self.sent_blobs: deque[str | bytes] = deque()
        self.results: deque[str | bytes] = deque()
        self.error: HostError | None = None
        self._source = source
        self._args = args
        self._make_host = make_host
        self._started = False

    def run(self) -> None:
        """Runs it, unless that has been done."""
        if self._started:
            return
        self._started = True
        loop, module = asyncio._get_running_loop(), sys.modules.get(MODULE_NAME)
        asyncio._set_running_loop(None)
        try:
            with self._make_host(self._args, self.messages) as host:
                self._run(host)
        finally:
            asyncio._set_running_loop(loop)
            if module is not None:
                sys.modules[MODULE_NAME] = module

    def _run(self, host: ChildHost) -> None:
        try:
            self.results.append(run_program(self._source, self._args))
        except ProgramFailed as failure:
            self.error = HostError(ErrorKind.CHILD_FAILED, f"the child failed: {failure}")
        for message in host.sent:
            (self.sent if isinstance(message, str) else self.sent_blobs).append(message)

    def cancel(self) -> None:
        if self._started:
            return
        self._started = True
        self.error = HostError(ErrorKind.CANCELLED, "the child was cancelled")


class FakeSpawning:
    """The interface `spawning`. `programs` are those that can be launched by name."""

    Program_Named = Program_Named
    Program_Source = Program_Source
    Program_Myself = Program_Myself
    Program_Function = Program_Function

    def __init__(
        self, myself: SourceText | None, programs: Mapping[str, Readable], futures: FakeFutures,
        make_host: MakeHost,
    ) -> None:
        self.children: dict[int, Child] = {}
        self._myself = myself
        self._programs = programs
        self._futures = futures
        self._make_host = make_host

    def spawn(self, program: Any, args: list[str], share: float) -> int:
        if not 0 < share <= 1:
            raise invalid(f"share must be above 0 and at most 1, not {share}")
        self.children[number := len(self.children) + 1] = Child(self._source(program), args, self._make_host)
        return number

    def wait_child(self, child: int) -> int:
        found = self._find(child)
        return self._promise(found, found.results)

    def receive_from_child(self, child: int) -> int:
        found = self._find(child)
        return self._promise(found, found.sent)

    def receive_blob_from_child(self, child: int) -> int:
        found = self._find(child)
        return self._promise(found, found.sent_blobs)

    def send_to_child(self, child: int, msg: str) -> None:
        self._find(child).messages.append(msg)

    def send_blob_to_child(self, child: int, msg: bytes) -> None:
        self._find(child).messages.append(msg)

    def cancel_child(self, child: int) -> None:
        self._find(child).cancel()

    def _promise(self, child: Child, box: deque[str | bytes]) -> int:
        pending = Pending(None, box=box)

        def fill() -> None:
            child.run()
            if not box:
                ended = HostError(ErrorKind.CANCELLED, "the child has ended and sends nothing more")
                pending.error = child.error or ended

        pending.fill = fill
        return self._futures.add(pending)

    def _find(self, child: int) -> Child:
        if child not in self.children:
            raise HostError(ErrorKind.UNKNOWN_ID, f"child {child} does not exist")
        return self.children[child]

    def _source(self, program: Any) -> SourceText:
        if isinstance(program, Program_Source):
            return SourceText(program.value)
        if isinstance(program, Program_Named):
            if program.value not in self._programs:
                raise invalid(f"no program {program.value!r}: give it to the fake host in `programs`")
            return read_source(self._programs[program.value])
        if self._myself is None:
            raise invalid("this is no program of its own: start it with `inferlet.testing.run`")
        entry = program.value if isinstance(program, Program_Function) else None
        return replace(self._myself, entry=entry)
