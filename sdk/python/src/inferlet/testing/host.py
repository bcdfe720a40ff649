"""The fake host: a server in memory."""

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TypedDict

from inferlet.host import Host, bound
from inferlet.testing.answers import Answer, alphabet
from inferlet.testing.children import FakeSpawning
from inferlet.testing.device import FakeDevice
from inferlet.testing.matchers import FakeMatchers
from inferlet.testing.memory import FakeMemory
from inferlet.testing.pages import ErrorKind, HostError
from inferlet.testing.runtime import FakeRuntime, ModelRecord
from inferlet.testing.scores import FakeEyes, FakeScores
from inferlet.testing.slots import FakeSlots
from inferlet.testing.sources import Readable, SourceText
from inferlet.testing.strict import Strict
from inferlet.testing.tenant import FakeStore, FakeTopics, Tenant
from inferlet.testing.tokenizer import FakeTokenizer
from inferlet.testing.waiting import FakeFutures
from inferlet.testing.web import FakeWeb


class World(TypedDict, total=False):
    """What is around a program."""

    models: Sequence[ModelRecord]
    """What is served."""
    adapters: Mapping[str, Answer]
    """LoRA adapters: each is another answer."""
    web: Mapping[str, str | bytes]
    """Pages by URL. All other addresses are refused."""
    programs: Mapping[str, Readable]
    """Programs that can be spawned by name."""
    tenant: Tenant
    """Published pages, topics and the store, for several hosts to share."""


class FakeHost(Host, AbstractContextManager["FakeHost"]):
    """`with FakeHost() as host:` binds the library to a server in memory.

    answer: the model, a function from visible tokens to probabilities.
    args, messages: what the launcher gives the program. program: itself, which it may spawn again.
    models, adapters, web, programs, tenant: see `World`.
    """

    __slots__ = ("_before", "_clock", "_device", "_memory", "_runtime", "_slots", "calls", "tenant")

    def __init__(
        self,
        answer: Answer = alphabet,
        *,
        args: Sequence[str] = (),
        messages: Sequence[str | bytes] = (),
        program: SourceText | None = None,
        models: Sequence[ModelRecord] = (ModelRecord(),),
        adapters: Mapping[str, Answer] | None = None,
        web: Mapping[str, str | bytes] | None = None,
        programs: Mapping[str, Readable] | None = None,
        tenant: Tenant | None = None,
    ) -> None:
        self.calls: list[str] = []
        """Names of waits and of calls that take a queue, in order."""
        self.tenant = tenant or Tenant()
        self._clock = FakeFutures(messages, self.calls)
        self._runtime = FakeRuntime(args, models, self._clock, self.calls)
        self._memory = FakeMemory(self._runtime, self.tenant)
        self._device = FakeDevice(
            answer, adapters or {}, self._memory, self._runtime, self._clock, self.calls
        )
        matchers = FakeMatchers(self._device, self._runtime)
        self._slots = FakeSlots(self._device, matchers, self._runtime)
        scores = FakeScores(self._device, self._runtime)

        def child_host(args: list[str], messages: deque[str | bytes]) -> FakeHost:
            return FakeHost(
                answer, args=args, messages=messages, program=program, models=models, adapters=adapters,
                web=web, programs=programs, tenant=self.tenant,
            )

        allocate, forward, sample = Strict(self._memory), Strict(self._device), Strict(self._slots)
        super().__init__(
            futures=Strict(self._clock), runtime=Strict(self._runtime), allocate=allocate, forward=forward,
            input_text=forward, tokenize=Strict(FakeTokenizer()), output_text=forward, sample=sample,
            constrain=Strict(matchers), score=Strict(scores), introspect=Strict(scores),
            input_image=Strict(FakeEyes()), http=Strict(FakeWeb(web or {}, self._runtime)),
            topics=Strict(FakeTopics(self.tenant, self._clock)),
            spawning=Strict(FakeSpawning(program, programs or {}, self._clock, child_host)),
            store=Strict(FakeStore(self.tenant)), error=HostError,
        )

    def fail_next(self, message: str, kind: ErrorKind = ErrorKind.OUT_OF_RESOURCES) -> None:
        """The next thing that a queue is asked for fails like this, and poisons the queue."""
        self._runtime.next_failure = HostError(kind, message)

    @property
    def sent(self) -> list[str | bytes]:
        """What the program sent to its client."""
        return self._runtime.sent

    @property
    def logs(self) -> list[tuple[str, str]]:
        """What it logged: ("stdout" or "stderr", text)."""
        return self._runtime.logs

    @property
    def shortages(self) -> deque[int]:
        """Put in numbers of pages that others need: whoever awaits `on_pressure` is told."""
        return self._memory.shortages

    @property
    def pages(self) -> set[int]:
        """Pages that are allocated."""
        return set(self._device.pages)

    @property
    def embs(self) -> set[int]:
        """Embeddings that are allocated."""
        return set(self._device.embs)

    @property
    def slots(self) -> set[int]:
        """Token slots that are allocated."""
        return set(self._slots.slots)

    @property
    def matchers(self) -> set[int]:
        """Matchers that are allocated."""
        return set(self.constrain.matchers)  # type: ignore[attr-defined]

    @property
    def futures_held(self) -> set[int]:
        """Futures that have not been dropped."""
        return set(self._clock.pending)

    def __enter__(self) -> Self:
        self._before = bound.state()
        bound.bind(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        bound.restore(self._before)
