"""The fake host: a server in memory."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from inferlet.host import Host, bound
from inferlet.testing.answers import Answer, alphabet
from inferlet.testing.device import FakeDevice
from inferlet.testing.pages import HostError
from inferlet.testing.runtime import FakeRuntime, ModelRecord
from inferlet.testing.tokenizer import FakeTokenizer
from inferlet.testing.waiting import FakeFutures


class FakeHost(Host, AbstractContextManager["FakeHost"]):
    """`with FakeHost() as host:` binds the library to a server in memory.

    answer: the model, a function from visible tokens to probabilities.
    args, messages: what the launcher gives the program. models: what is served.
    """

    __slots__ = ("_clock", "_device", "_runtime", "calls")

    def __init__(
        self,
        answer: Answer = alphabet,
        *,
        args: Sequence[str] = (),
        messages: Sequence[str | bytes] = (),
        models: Sequence[ModelRecord] = (ModelRecord(),),
    ) -> None:
        self.calls: list[str] = []
        """Names of waits and of calls that take a queue, in order."""
        self._clock = FakeFutures(messages, self.calls)
        self._runtime = FakeRuntime(args, models, self._clock, self.calls)
        self._device = FakeDevice(answer, self._runtime, self._clock, self.calls)
        super().__init__(
            futures=self._clock, runtime=self._runtime, allocate=self._device, forward=self._device,
            input_text=self._device, tokenize=FakeTokenizer(), output_text=self._device, error=HostError,
        )

    @property
    def sent(self) -> list[str | bytes]:
        """What the program sent to its client."""
        return self._runtime.sent

    @property
    def logs(self) -> list[tuple[str, str]]:
        """What it logged: ("stdout" or "stderr", text)."""
        return self._runtime.logs

    @property
    def pages(self) -> set[int]:
        """Pages that are allocated."""
        return set(self._device.pages)

    @property
    def embs(self) -> set[int]:
        """Embeddings that are allocated."""
        return set(self._device.embs)

    @property
    def futures_held(self) -> set[int]:
        """Futures that have not been dropped."""
        return set(self._clock.pending)

    def __enter__(self) -> Self:
        bound.bind(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        bound.bind(None)
