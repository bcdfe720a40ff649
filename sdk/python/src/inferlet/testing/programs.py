"""Runs a whole program on the fake host."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from inferlet.runner import run_program
from inferlet.testing.answers import Answer, alphabet
from inferlet.testing.host import FakeHost, World
from inferlet.testing.sources import Readable, read_source


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program left behind."""

    result: str
    host: FakeHost

    @property
    def messages(self) -> list[str | bytes]:
        """What it sent to its client, in order."""
        return self.host.sent

    @property
    def text(self) -> str:
        """What `pie run` shows: the text messages, then the result."""
        return "".join(message for message in self.messages if isinstance(message, str)) + self.result

    @property
    def log(self) -> str:
        """What it printed to standard output."""
        return self._logged("stdout")

    @property
    def errors(self) -> str:
        """What it printed to standard error, warnings included."""
        return self._logged("stderr")

    def _logged(self, stream: str) -> str:
        return "".join(text for to, text in self.host.logs if to == stream)


def run(
    program: Readable,
    args: Sequence[str] = (),
    *,
    answer: Answer = alphabet,
    messages: Sequence[str | bytes] = (),
    **world: Unpack[World],
) -> Outcome:
    """Runs a program (a file, or `SourceText`) with launch arguments; `messages` wait for its `receive`.

    `answer` is the model; `world` is whatever else `FakeHost` can be told: `web`, `tenant`, `programs`,
    `adapters`, `models`. Raises `inferlet.runner.ProgramFailed` with the text that a launcher would see.
    """
    source = read_source(program)
    with FakeHost(answer, args=args, messages=messages, program=source, **world) as host:
        return Outcome(run_program(source, args), host)
