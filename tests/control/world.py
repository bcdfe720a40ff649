"""A control layer on a fake driver, and short ways to say what a program does."""

from collections.abc import Callable, Sequence
from typing import Any

from pie.control import Control, ControlSettings, Session
from pie.core.clock import Clock
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    AllocSlots,
    Command,
    DecodeAhead,
    EmbedSlots,
    EmbedText,
    ForkPages,
    Forward,
    FreeEmbs,
    FreePages,
    NextDist,
    ReadSlots,
    Sample,
    SamplingSpec,
    Score,
    Synchronize,
)
from pie.core.driver import DriverSpec
from pie.core.ids import InstanceId, QueueId, Token, VirtualEmb, VirtualPage, VirtualSlot
from pie.core.passes import Pass
from pie.core.programs import Limits
from pie.testing import FakeDriver, FakeExecutor, ManualClock, Recorder, fake_model, fake_spec
from pie.testing.recorder import RecordingListener

PAGE_SIZE = 4


class NoTokenizer:
    """The control layer only hands it on."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode()

    def token_bytes(self, tokens: Sequence[int]) -> bytes:
        return bytes(tokens)

    def vocabulary(self) -> list[bytes]:
        return [bytes((i,)) for i in range(256)]

    def special_tokens(self) -> dict[int, str]:
        return {}

    def render_chat(self, messages: str, add_generation_prompt: bool) -> str:
        return messages + ("assistant:" if add_generation_prompt else "")


class Program:
    """One session with one queue; more of both on request."""

    def __init__(self, world: "World", name: str, limits: Limits, tenant: str = "default") -> None:
        self.world = world
        self.name = name
        self.session = world.control.open(InstanceId(name), limits, tenant)
        self.queue = self.session.create_queue("fake")

    def submit(self, command: Command, label: str | None = None, queue: QueueId | None = None) -> None:
        completion = None if label is None else self.world.recorder.completion(label)
        self.session.submit(self.queue if queue is None else queue, command, completion)

    def alloc(self, pages: Sequence[int] = (), embs: Sequence[int] = ()) -> None:
        if pages:
            self.submit(AllocPages(page_names(pages)))
        if embs:
            self.submit(AllocEmbs(emb_names(embs)))

    def free(self, pages: Sequence[int] = (), embs: Sequence[int] = (), queue: QueueId | None = None) -> None:
        if pages:
            self.submit(FreePages(page_names(pages)), queue=queue)
        if embs:
            self.submit(FreeEmbs(emb_names(embs)), queue=queue)

    def fork(self, src: Sequence[int], dst: Sequence[int]) -> None:
        self.submit(ForkPages(page_names(src), page_names(dst)))

    def embed(self, tokens: Sequence[int], positions: Sequence[int], embs: Sequence[int]) -> None:
        self.submit(EmbedText([Token(t) for t in tokens], positions, emb_names(embs)))

    def forward(
        self,
        iemb: Sequence[int],
        ikv: Sequence[int] = (),
        okv: Sequence[int] = (),
        offset: int = 0,
        oemb: Sequence[int] = (),
        outputs: Sequence[int] = (),
        mask: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.submit(
            Forward(page_names(ikv), emb_names(iemb), page_names(okv), offset, emb_names(oemb), outputs, mask)
        )

    def dist(self, emb: int, label: str, top_k: int = 3, tokens: Sequence[int] = ()) -> None:
        self.submit(NextDist(VirtualEmb(emb), top_k, [Token(t) for t in tokens]), label)

    def synchronize(self, label: str, queue: QueueId | None = None) -> None:
        self.submit(Synchronize(), label, queue)

    def alloc_slots(self, *slots: int) -> None:
        self.submit(AllocSlots(slot_names(slots)))

    def sample(self, emb: int, slot: int, **spec: Any) -> None:
        self.submit(Sample(VirtualEmb(emb), SamplingSpec(**spec), VirtualSlot(slot), None))

    def embed_slots(self, slots: Sequence[int], positions: Sequence[int], embs: Sequence[int]) -> None:
        self.submit(EmbedSlots(slot_names(slots), positions, emb_names(embs)))

    def read_slots(self, slots: Sequence[int], label: str, queue: QueueId | None = None) -> None:
        self.submit(ReadSlots(slot_names(slots)), label, queue)

    def score(self, embs: Sequence[int], targets: Sequence[int], label: str) -> None:
        self.submit(Score(emb_names(embs), [Token(t) for t in targets]), label)

    def decode(
        self,
        position: int,
        pages: Sequence[int],
        steps: int,
        label: str,
        stop: Sequence[int] = (),
        **spec: Any,
    ) -> RecordingListener:
        """A run from the hidden state in emb 1 on, through emb 0; tokens go to where their position says."""
        listener = self.world.recorder.listener(label)
        command = DecodeAhead(
            SamplingSpec(**spec), position, page_names(pages), position, VirtualEmb(0), VirtualEmb(1), steps,
            [Token(t) for t in stop],
        )  # fmt: skip
        self.session.submit(self.queue, command, listener)
        return listener

    def step(self, token: int, position: int, pages: Sequence[int], label: str) -> None:
        """One token into emb 0, stored at its place in `pages`, its distribution from emb 1."""
        self.embed([token], [position], [0])
        page = pages[position // PAGE_SIZE]
        self.forward([0], pages, [page], position % PAGE_SIZE, [1])
        self.dist(1, label)

    def prefill(self, tokens: Sequence[int], pages: Sequence[int], label: str) -> None:
        """Allocates embs 0 to n and `pages`, runs the tokens, asks for what comes next."""
        self.alloc(pages, range(len(tokens) + 1))
        count = len(tokens)
        self.embed(tokens, range(count), range(count))
        self.forward(range(count), (), pages, 0, [count])
        self.dist(count, label)


class World:
    """Pages of four tokens. `auto` answers passes inside `submit`; else time has to move."""

    def __init__(
        self,
        settings: ControlSettings | None = None,
        spec: DriverSpec | None = None,
        auto: bool = True,
        seconds: Callable[[Pass], float] = lambda _: 1.0,
    ) -> None:
        self.clock = ManualClock()
        self.spec = spec or fake_spec(pages=32, embs=64, page_size=PAGE_SIZE)
        self.executor = FakeExecutor(self.spec)
        self.driver = FakeDriver(self.executor, None if auto else self.clock, seconds)
        self.control = self.make_control(settings or ControlSettings(), self.clock)
        self.control.add_model(fake_model(self.spec), self.driver, NoTokenizer())
        self.recorder = Recorder()

    def make_control(self, settings: ControlSettings, clock: Clock) -> Control:
        return Control(settings, clock)

    def program(self, name: str = "a", limits: Limits | None = None, tenant: str = "default") -> Program:
        return Program(self, name, limits or Limits(), tenant)

    @property
    def passes(self) -> list[Pass]:
        return self.driver.passes

    @property
    def free_pages(self) -> int:
        return self.control.statistics().models["fake"].pages.free

    @property
    def free_embs(self) -> int:
        return self.control.statistics().models["fake"].embs.free

    @property
    def free_slots(self) -> int:
        return self.control.statistics().models["fake"].slots.free

    def pump(self) -> None:
        self.control.pump()
        self.control.check_integrity()

    def run(self) -> None:
        """Until nothing happens any more."""
        self.pump()
        self.clock.run_all()
        self.control.check_integrity()

    def restore(self) -> None:
        self.executor = FakeExecutor(self.spec)
        self.driver.restore(self.executor)


def page_names(pages: Sequence[int]) -> list[VirtualPage]:
    return [VirtualPage(page) for page in pages]


def emb_names(embs: Sequence[int]) -> list[VirtualEmb]:
    return [VirtualEmb(emb) for emb in embs]


def slot_names(slots: Sequence[int]) -> list[VirtualSlot]:
    return [VirtualSlot(slot) for slot in slots]


def all_back(session: Session, world: World) -> bool:
    """Closes a session; whether every page, emb and slot is free then."""
    session.close()
    world.control.check_integrity()
    free = (world.free_pages, world.free_embs, world.free_slots)
    return free == (world.spec.pages, world.spec.embs, world.spec.slots)
