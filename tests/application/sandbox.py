"""The application layer over the real control layer and a driver that computes nothing."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from pie.application import Application, ApplicationSettings, Instance
from pie.control import Control, ControlSettings
from pie.core.events import Event, Log, Message
from pie.loop_clock import LoopClock
from pie.testing import FakeDriver, FakeExecutor, fake_model, fake_spec
from pie.testing.programs import Programs

MODEL = "fake"


def shared_home() -> Path:
    """Where the runner is kept between test sessions: the folder that `pie` itself uses."""
    return Path(os.environ.get("PIE_HOME") or platformdirs.user_cache_dir("pie"))


class Letters:
    """A tokenizer with one token for each byte; the model knows more tokens, which stand for those again."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        return self.token_bytes(tokens).decode(errors="replace")

    def token_bytes(self, tokens: Sequence[int]) -> bytes:
        return bytes(token % 128 for token in tokens)

    def vocabulary(self) -> list[bytes]:
        return [bytes([i]) for i in range(128)]

    def special_tokens(self) -> dict[int, str]:
        return {}

    def render_chat(self, messages: str, add_generation_prompt: bool) -> str:
        return messages + ("|" if add_generation_prompt else "")


@dataclass(frozen=True, slots=True)
class Sandbox(Programs):
    """What tests do with it."""

    application: Application
    control: Control
    driver: FakeDriver

    async def quiet(self) -> int:
        """Waits until no program wants to run any more; the number of polls so far."""
        before, polls = -1, self.application.statistics().polls
        while before != polls:
            await asyncio.sleep(0.01)
            before, polls = polls, self.application.statistics().polls
        return polls

    async def events(self, text: str, *args: str) -> list[Event]:
        return [event async for event in self.launch(text, *args).events()]


def make_control() -> tuple[Control, FakeDriver]:
    spec = fake_spec()
    control, driver = Control(ControlSettings(), LoopClock()), FakeDriver(FakeExecutor(spec))
    control.add_model(fake_model(spec, MODEL), driver, Letters())
    return control, driver


def make_application(control: Control, home: Path, **settings: Any) -> Application:
    return Application(ApplicationSettings(home, **settings), control)


async def message(instance: Instance) -> str:
    """The next text that the program sends."""
    async for event in instance.events():
        if isinstance(event, Message):
            return event.text
    raise AssertionError(f"{instance.id} ended without a message: {await instance.wait()}")


def logged(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Log))
