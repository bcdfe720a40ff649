"""The application layer in a test, over the real control layer and a driver that computes nothing."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs
from cases import EMBS, MODEL, PAGES, QUEUE, SLOTS
from puppet import Code, Puppet

from pie.application import Application, ApplicationSettings
from pie.application.egress_hosts import parse_patterns
from pie.application.egress_settings import EgressSettings
from pie.control import Control, ControlSettings
from pie.core.clock import Handle
from pie.core.programs import Limits
from pie.testing import FakeDriver, FakeExecutor, fake_model, fake_spec
from pie.testing.grammar import fake_tokens

GREEDY = Code(
    "sample.SamplingSpec(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, seed=0, repetition_penalty=1.0, "
    "presence_penalty=0.0, frequency_penalty=0.0, seen=[], seen_slots=[])"
)
SCENE = (
    ("runtime.create-queue", MODEL),
    ("allocate.alloc-kvpage", QUEUE, list(PAGES)),
    ("allocate.alloc-emb", QUEUE, list(EMBS)),
    ("sample.alloc-slot", QUEUE, list(SLOTS)),
)
END = 508
"""The token that ends a reply."""
TEXT = list(range(100, 132))


class LoopClock:
    def now(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)


VOCABULARY = fake_tokens(END + 1)


class Letters:
    """The fake model's tokenizer: one token for each byte of a text."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        return self.token_bytes(tokens).decode(errors="replace")

    def token_bytes(self, tokens: Sequence[int]) -> bytes:
        return b"".join(VOCABULARY[token] for token in tokens)

    def vocabulary(self) -> list[bytes]:
        return VOCABULARY

    def special_tokens(self) -> dict[int, str]:
        return {END: "<end>"}

    def render_chat(self, messages: str, add_generation_prompt: bool) -> str:
        return messages + ("|" if add_generation_prompt else "")


@dataclass(frozen=True, slots=True)
class Bench:
    application: Application
    control: Control
    driver: FakeDriver

    async def puppet(
        self, *args: str, limits: Limits | None = None, tenant: str = "default", scene: bool = True
    ) -> Puppet:
        """A program; with a queue, pages, embeddings and slots that have something in them."""
        puppet = Puppet(self.application, limits or Limits(), tenant, args)
        for name, *arguments in SCENE if scene else ():
            await puppet.call(name, *arguments)
        if scene:
            await fill(puppet)
        return puppet

    async def forget_names(self) -> None:
        """Ends the leases of pages that a test has left."""
        if self.control.statistics().models[MODEL].pages.held:
            puppet = await self.puppet(scene=False)
            for found in await puppet.call("allocate.exported-kvpages", MODEL):
                await puppet.call("allocate.unexport-kvpage", MODEL, found["name"])

    def held(self) -> tuple[int, int, int, int]:
        """Sessions, queues, pages and embeddings."""
        statistics = self.control.statistics()
        model = statistics.models[MODEL]
        return statistics.sessions, model.queues, model.pages.held, model.embs.held


async def fill(puppet: Puppet) -> None:
    """Two pages of text, a hidden state in embedding 0, a token in slot 0."""
    await puppet.call("allocate.alloc-emb", QUEUE, TEXT)
    await puppet.call("input-text.embed-txt", QUEUE, TEXT, list(range(32)), TEXT)
    await puppet.call("forward.forward", QUEUE, [], TEXT, [0, 1], 0, [0], [], None)
    await puppet.call("allocate.dealloc-emb", QUEUE, TEXT)
    await puppet.call("sample.sample", QUEUE, 0, GREEDY, 0, None)
    await puppet.made("runtime.synchronize", QUEUE)


def open_bench() -> Bench:
    """Programs may talk to 127.0.0.1, and the model has one adapter."""
    spec = fake_spec(pages=256, embs=512, adapters=("poet",))
    control, driver = Control(ControlSettings(), LoopClock()), FakeDriver(FakeExecutor(spec))
    driver.keep_passes = False
    control.add_model(replace(fake_model(spec, MODEL), stop_tokens=(END,)), driver, Letters())
    home = Path(os.environ.get("PIE_HOME") or platformdirs.user_cache_dir("pie"))
    settings = ApplicationSettings(
        home, egress=EgressSettings(private_hosts=parse_patterns(("127.0.0.1:*",)))
    )
    return Bench(Application(settings, control), control, driver)
