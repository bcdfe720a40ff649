"""Messages, logs, models and queues of the fake."""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

from inferlet.testing.answers import STOP_TOKENS, VOCABULARY
from inferlet.testing.pages import ErrorKind, HostError, invalid
from inferlet.testing.waiting import FakeFutures, Pending

PASS_MS = 1
"""Virtual milliseconds until a distribution or a synchronisation is ready."""


TRAITS = (
    "core-runtime", "allocate", "forward", "input-text", "tokenize", "output-text", "sample", "constrain",
    "score", "introspect",
)


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
    bytes_in: int = 0
    wall_ms: float = 0.0
    children: int = 0
    cpu_ms_left: float = 10_000.0
    wall_ms_left: float = 600_000.0
    pages_left: int = 4096
    calls_left: int = 4096
    children_left: int = 16
    page_seconds_left: float | None = None
    tokens_left: int | None = None
    compute_ms_left: float | None = None
    host_calls_left: int | None = None
    bytes_out_left: int | None = None


class TokenRun:
    """Tokens of a `decode_ahead` that have not been taken yet; `chunk` of them come at a time."""

    def __init__(self, tokens: list[int], chunk: int) -> None:
        self.tokens = tokens
        self._chunk = max(1, chunk)

    def take(self) -> list[int]:
        taken, self.tokens = self.tokens[: self._chunk], self.tokens[self._chunk :]
        return taken


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
        self.failed: dict[int, str] = {}
        """Poisoned queues, with their first error."""
        self.next_failure: HostError | None = None
        """What the next result of a queue will be instead."""
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
        return self._futures.add(Pending(None, box=self._futures.inbox))

    def receive_blob(self) -> int:
        return self._futures.add(Pending(None, box=self._futures.inbox))

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
        return list(TRAITS)

    def create_queue(self, model: str) -> int:
        self.queues.append(self.model(model).name)
        return len(self.queues)

    def set_queue_priority(self, queue: int, priority: int) -> None:  # noqa: ARG002
        self.model_of(queue)

    def synchronize(self, queue: int) -> int:
        self.command("synchronize", queue)
        return self.promise(queue, None)

    def reset_queue(self, queue: int) -> None:
        self.model_of(queue)
        self._calls.append("reset_queue")
        self.failed.pop(queue, None)

    def debug_query(self, queue: int) -> str:
        self.model_of(queue)
        return f"queue {queue}: empty"

    def usage(self) -> Usage:
        return Usage(host_calls=len(self._calls))

    def command(self, name: str, queue: int) -> ModelRecord:
        """Notes a call that takes a queue; the queue's model. A poisoned queue takes none."""
        self._calls.append(name)
        model = self.model_of(queue)
        if queue in self.failed:
            message = f"queue {queue} has failed: {self.failed[queue]}. reset_queue makes it usable again"
            raise HostError(ErrorKind.QUEUE_FAILED, message)
        return model

    def promise(self, queue: int, value: Any) -> int:
        """A future of what a queue's command gives, one pass from now."""
        failure, self.next_failure = self.next_failure, None
        if failure is not None:
            self.failed[queue] = str(failure)
        return self._futures.add(Pending(self._futures.milliseconds + PASS_MS, value, failure))

    def later(self, value: Any) -> int:
        """A future of a value that no queue is asked for."""
        return self._futures.add(Pending(self._futures.milliseconds + PASS_MS, value))

    def listen(self, box: deque[Any]) -> int:
        """A future of what will be put into a box."""
        return self._futures.add(Pending(None, box=box))

    def take(self, future: int) -> Any:
        """The value of a future, which is waited for and forgotten."""
        return self._futures.take(future)

    def model(self, name: str) -> ModelRecord:
        for model in self.models:
            if model.name == name:
                return model
        raise invalid(f"no model {name!r}")

    def model_of(self, queue: int) -> ModelRecord:
        if not 1 <= queue <= len(self.queues):
            raise HostError(ErrorKind.UNKNOWN_ID, f"queue {queue} does not exist")
        return self.model(self.queues[queue - 1])
