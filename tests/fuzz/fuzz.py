"""Random calls of several programs at once, against every host function, and a neighbour who must not notice.

Programs are real guests without a sandbox: their calls are those of the bindings, with arguments as they come
out of the marshalling. The driver computes nothing, but notices any token in a wrong place.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from arguments import MODEL, Draw, arguments

from pie.application import ApplicationSettings
from pie.application.bindings import INTERFACES
from pie.application.egress_hosts import parse_patterns
from pie.application.egress_settings import EgressSettings
from pie.application.grammars import open_grammars
from pie.application.guest import Guest
from pie.application.hostcall import Binding, parameters
from pie.application.mailbox import Outbox
from pie.application.services import Services, open_services
from pie.application.store import StoreSettings
from pie.application.suspension import SUSPENDED
from pie.control import Control, ControlSettings
from pie.core.clock import Handle
from pie.core.commands import Dist, EmbedText, Forward, NextDist
from pie.core.errors import InternalError, OutOfResources, PieError
from pie.core.grammar import Grammar
from pie.core.ids import InstanceId, QueueId, Token, VirtualEmb, VirtualPage
from pie.core.programs import Launch, Limits, Source
from pie.testing import FakeDriver, FakeExecutor, fake_model, fake_spec
from pie.testing.grammar import fake_tokens

PROGRAMS = 4
LIFE = 400
"""Calls of one program, about."""
TENANTS = ("default", "default", "others")
LIMITS = Limits(calls_in_flight=64, message_bytes=4096, pages=48)
TURNS = 200
"""Of the event loop that a waiting call gets before its program gives up."""
WEIGHTS = {
    "constrain.compile-grammar": 0.3,
    "constrain.take-grammar": 2,
    "constrain.new-matcher": 2,
    "tokenize.get-vocabs": 0.1,
    "allocate.alloc-kvpage": 2,
    "allocate.alloc-emb": 2,
    "sample.alloc-slot": 2,
    "input-text.embed-txt": 8,
    "forward.forward": 6,
    "sample.sample": 3,
    "output-text.get-next-dist": 4,
}
"""How often calls come that take long, or that others need; all others: 1."""
NEIGHBOUR_EVERY = 5
LATEST = 4
"""Futures that calls take from."""
SOURCE = Source("def main():\n    pass\n", "fuzzed.py")


class LoopClock:
    def now(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)


class Words:
    """The fake model's tokenizer."""

    vocabulary_list = fake_tokens(509)

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Any) -> str:
        return self.token_bytes(tokens).decode(errors="replace")

    def token_bytes(self, tokens: Any) -> bytes:
        return b"".join(self.vocabulary_list[token % 509] for token in tokens)

    def vocabulary(self) -> list[bytes]:
        return self.vocabulary_list

    def special_tokens(self) -> dict[int, str]:
        return {508: "<end>"}

    def render_chat(self, messages: str, add_generation_prompt: bool) -> str:
        return messages + str(add_generation_prompt)


class Collector:
    """A completion that keeps what it gets."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: Exception | None = None

    def resolve(self, value: object) -> None:
        self.value = value

    def fail(self, error: Exception) -> None:
        self.error = error


@dataclass
class Report:
    """What happened."""

    fine: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    waited: Counter[str] = field(default_factory=Counter)
    """Calls that would have waited for ever."""
    problems: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return self.fine.total() + self.refused.total() + self.waited.total()

    def missed(self) -> list[str]:
        """Functions that were never called, or never with success."""
        return [name for name in CALLS if not self.fine[name] + self.refused[name] + self.waited[name]]


CALLS: dict[str, tuple[Binding, tuple[str, ...]]] = {
    f"{interface.partition('/')[2]}.{name}": (binding, parameters(binding))
    for interface, functions in INTERFACES.items()
    for name, binding in functions.items()
}


class Neighbour:
    """A program that decodes greedily, token by token, beside everybody else."""

    def __init__(self, control: Control) -> None:
        self._session = control.open(InstanceId("neighbour"), Limits(), "default")
        self._queue = self._session.create_queue(MODEL)
        self._pages = [VirtualPage(page) for page in range(8)]
        self._token = Token(42)
        self._asked: Collector | None = None
        self.tokens: list[int] = []

    def step(self) -> None:
        """Takes the token that it has asked for, if it is there, and asks for the next one."""
        if self._asked is not None and not self._take(self._asked):
            return
        position, emb, queue = len(self.tokens) % 128, (VirtualEmb(1),), QueueId(self._queue)
        pages, submit = self._pages, self._session.submit
        if position == 0:
            self._begin()
        self._asked = Collector()
        submit(queue, EmbedText((self._token,), (position,), emb))
        submit(queue, Forward(pages, emb, pages, position, (VirtualEmb(2),), (), None))
        submit(queue, NextDist(VirtualEmb(2), 1, ()), self._asked)

    def close(self) -> None:
        self._session.close()

    def _begin(self) -> None:
        from_new = allocate if not self.tokens else allocate_again
        from_new(self._session, QueueId(self._queue), self._pages)

    def _take(self, asked: Collector) -> bool:
        if asked.error is not None:
            raise asked.error
        if not isinstance(asked.value, Dist):
            return False
        self._token = Token(int(asked.value.tokens[0]))
        self.tokens.append(self._token)
        return True


def allocate(session: Any, queue: QueueId, pages: list[VirtualPage]) -> None:
    binding = CALLS["allocate.alloc-kvpage"][0]
    holder = type("Holder", (), {"session": session})
    binding(holder, queue, pages)
    CALLS["allocate.alloc-emb"][0](holder, queue, [VirtualEmb(1), VirtualEmb(2)])


def allocate_again(session: Any, queue: QueueId, pages: list[VirtualPage]) -> None:
    holder = type("Holder", (), {"session": session})
    CALLS["allocate.dealloc-kvpage"][0](holder, queue, pages)
    CALLS["allocate.alloc-kvpage"][0](holder, queue, pages)


class Fuzz:
    """`await Fuzz(seed).run(calls)`; then `report` says what happened, and everything has been given back."""

    def __init__(self, seed: int) -> None:
        self.report = Report()
        self._random = Random(seed)
        spec = fake_spec(pages=128, embs=128, slots=48, adapters=("poet",))
        self.control = Control(ControlSettings(), LoopClock())
        driver = FakeDriver(FakeExecutor(spec))
        driver.keep_passes = False
        self.control.add_model(replace(fake_model(spec, MODEL), stop_tokens=(508,)), driver, Words())
        self._guests: list[Guest] = []
        self._names = 0
        self._weights = [WEIGHTS.get(name, 1.0) for name in CALLS]
        self._neighbour = Neighbour(self.control)
        self.services: Services

    async def run(self, calls: int) -> None:
        settings = ApplicationSettings(home=None)  # type: ignore[arg-type]
        grammars = open_grammars(settings, self.control)
        egress = EgressSettings(private_hosts=parse_patterns(("127.0.0.1:1",)))
        self.services = open_services(egress, StoreSettings(), _no_children, grammars)
        self._guests = [self._program() for _ in range(PROGRAMS)]
        names = list(CALLS)
        for count, name in enumerate(self._random.choices(names, self._weights, k=calls)):
            await self._one(name)
            if count % NEIGHBOUR_EVERY == 0:
                self._neighbour.step()
                self.control.pump()
            if count % 1000 == 0:
                self.control.check_integrity()
                await asyncio.sleep(0)
        await self._finish()

    @property
    def neighbours_tokens(self) -> list[int]:
        return self._neighbour.tokens

    async def _one(self, name: str) -> None:
        place = self._random.randrange(PROGRAMS)
        guest = self._guests[place]
        await self._call(guest, name)
        if guest.doomed is not None or self._random.random() < 1 / LIFE:
            guest.close()
            self._guests[place] = self._program()

    async def _call(self, guest: Guest, name: str) -> None:
        binding, names = CALLS[name]
        draw = Draw(self._random, self._random.choice((1, 1, 2, 3)), known(guest))
        given = arguments(name, names, draw)
        try:
            answer = binding(guest, *given)
            if answer is SUSPENDED:
                answer = await self._wait(guest, name)
            if answer is not SUSPENDED:
                self.report.fine[name] += 1
        except PieError as error:
            self._refused(name, given, error)
            if error.kind == "queue-failed" and self._random.random() < 0.7:
                guest.session.reset(given[names.index("queue")] if "queue" in names else 0)
        except Exception as error:
            logging.getLogger(__name__).exception("%s%r", name, given)
            self.report.problems.append(f"{name}{given!r}"[:300] + f": {type(error).__name__}: {error}")

    async def _wait(self, guest: Guest, name: str) -> object:
        """The answer of a call that suspends its program, or `SUSPENDED` where nothing wakes it."""
        suspension = guest.suspension
        for turn in range(TURNS):
            self.control.pump()
            if suspension.woken:
                finish, suspension._finish = suspension._finish, None
                return finish() if finish is not None else None
            await asyncio.sleep(0 if turn < TURNS // 2 else 0.0001)
        suspension.forget()
        self.report.waited[name] += 1
        return SUSPENDED

    def _refused(self, name: str, given: list[Any], error: PieError) -> None:
        self.report.refused[name] += 1
        self.report.kinds[error.kind] += 1
        if isinstance(error, InternalError) or len(str(error)) < 8:
            self.report.problems.append(f"{name}{given!r}"[:300] + f": {type(error).__name__}: {error}")

    def _program(self) -> Guest:
        """A new one, with two queues and some things to begin with."""
        self._names += 1
        launch = Launch(SOURCE, ("--n", "1"), LIMITS, self._random.choice(TENANTS))
        loop = asyncio.get_running_loop()
        guest = Guest(
            InstanceId(f"fuzzed-{self._names}"),
            launch,
            SOURCE,
            self.control,
            self.services,
            Outbox(),
            loop,
            _no_fiber,
            _nothing,
            lambda: None,
        )
        for model in (MODEL, MODEL):
            guest.session.create_queue(model)
        for message in ("one", "two", b"three"):
            guest.inbox.post(message)
        for name in ("allocate.alloc-kvpage", "allocate.alloc-emb", "sample.alloc-slot"):
            CALLS[name][0](guest, QueueId(0), [0, 1, 2])
        guest.grammars.keep(MODEL, Grammar("regex", "[a-z]+", "of the fuzz"))
        CALLS["constrain.new-matcher"][0](guest, QueueId(0), 1, [0, 1])
        return guest

    async def _finish(self) -> None:
        for guest in self._guests:
            guest.close()
        self._neighbour.close()
        for _ in range(10):
            self.control.pump()
            await asyncio.sleep(0)
        self.forget_names()
        self.control.check_integrity()
        await self.services.close()

    def forget_names(self) -> None:
        """Exports with a lease outlive their programs."""
        for tenant in set(TENANTS):
            session = self.control.open(InstanceId(f"last of {tenant}"), Limits(), tenant)
            exports = session.exports(MODEL)
            for found in exports.list():
                exports.unexport(found.name)
            session.close()


def _no_children(launch: Launch, parent: Guest) -> Any:
    del launch, parent
    raise OutOfResources("this fuzz has no sandboxes to start programs in")


def _no_fiber() -> Any:
    raise AssertionError("a guest without a sandbox was polled")


def _nothing(guest: Guest) -> None:
    del guest


def known(guest: Guest) -> dict[str, list[int]]:
    """The ids that a program has."""
    spaces = list(guest.session._spaces.values())
    tables = {kind: getattr(spaces[0], kind).leases for kind in ("pages", "embs", "slots", "matchers")}
    return {
        **{kind: list(table) for kind, table in tables.items()},
        "futures": list(guest.futures._futures)[-LATEST:],
        "grammars": list(guest.grammars._found),
        "children": list(guest.children._children),
        "subscriptions": list(guest.topics._subscriptions),
    }


async def alone(tokens: int) -> list[int]:
    """What the neighbour says when nobody else is there."""
    fuzz = Fuzz(0)
    while len(fuzz.neighbours_tokens) < tokens:
        fuzz._neighbour.step()
        fuzz.control.pump()
    fuzz._neighbour.close()
    return fuzz.neighbours_tokens
