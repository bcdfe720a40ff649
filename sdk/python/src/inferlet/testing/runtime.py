"""Messages, logs, models and queues of the fake."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from inferlet.testing.answers import STOP_TOKENS, VOCABULARY
from inferlet.testing.pages import ErrorKind, HostError, invalid
from inferlet.testing.waiting import FakeFutures, Pending

PASS_MS = 1
"""Virtual milliseconds until a distribution or a synchronisation is ready."""


class Stream(Enum):
    STDOUT = 0
    STDERR = 1


class ModelRecord(NamedTuple):
    name: str = "fake"
    description: str = "a function over bytes"
    version: str = "1"
    license: str = "none"
    chat_template: str = "chatml"
    context_length: int = 2048
    vocabulary_size: int = len(VOCABULARY)
    page_size: int = 16
    stop_tokens: tuple[int, ...] = STOP_TOKENS
    bos_token: int | None = None


class Usage(NamedTuple):
    host_calls: int
    pages: int = 0
    embs: int = 0
    page_seconds: float = 0.0
    tokens: int = 0
    compute_ms: float = 0.0
    cpu_ms: float = 0.0
    bytes_out: int = 0
    cpu_ms_left: float = 10_000.0
    wall_ms_left: float = 600_000.0
    pages_left: int = 4096


class FakeRuntime:
    """The interface `runtime`."""

    Stream = Stream

    def __init__(
        self, args: Sequence[str], models: Sequence[ModelRecord], futures: FakeFutures, calls: list[str]
    ) -> None:
        self.args = list(args)
        self.models = list(models)
        self.sent: list[str | bytes] = []
        self.logs: list[tuple[str, str]] = []
        self.queues: list[str] = []
        self._futures = futures
        self._calls = calls

    def get_version(self) -> str:
        return "fake"

    def get_instance_id(self) -> str:
        return "fake-1"

    def get_arg(self) -> list[str]:
        return self.args

    def send(self, msg: str) -> None:
        self.sent.append(msg)

    def send_blob(self, msg: bytes) -> None:
        self.sent.append(msg)

    def receive(self) -> int:
        return self._futures.add(Pending(None))

    def receive_blob(self) -> int:
        return self._futures.add(Pending(None))

    def log(self, to: Enum, text: str) -> None:
        self.logs.append((to.name.lower(), text))

    def sleep(self, ms: int) -> int:
        return self._futures.add(Pending(self._futures.milliseconds + ms))

    def now(self) -> int:
        return self._futures.milliseconds

    def available_models(self) -> list[ModelRecord]:
        return self.models

    def available_traits(self, model: str) -> list[str]:
        self.model(model)
        return ["core-runtime", "allocate", "forward", "input-text", "tokenize", "output-text"]

    def create_queue(self, model: str) -> int:
        self.queues.append(self.model(model).name)
        return len(self.queues)

    def set_queue_priority(self, queue: int, priority: int) -> None:  # noqa: ARG002
        self.model_of(queue)

    def synchronize(self, queue: int) -> int:
        self.model_of(queue)
        self._calls.append("synchronize")
        return self._futures.add(Pending(self._futures.milliseconds + PASS_MS))

    def reset_queue(self, queue: int) -> None:
        self.model_of(queue)

    def debug_query(self, queue: int) -> str:
        self.model_of(queue)
        return f"queue {queue}: empty"

    def usage(self) -> Usage:
        return Usage(host_calls=len(self._calls))

    def model(self, name: str) -> ModelRecord:
        for model in self.models:
            if model.name == name:
                return model
        raise invalid(f"no model {name!r}")

    def model_of(self, queue: int) -> ModelRecord:
        if not 1 <= queue <= len(self.queues):
            raise HostError(ErrorKind.UNKNOWN_ID, f"queue {queue} does not exist")
        return self.model(self.queues[queue - 1])
