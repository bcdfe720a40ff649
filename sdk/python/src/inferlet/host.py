"""What a program is bound to: the interfaces of `wit/pie.wit`, as componentize-py's bindings expose them.

In the sandbox the generated modules themselves satisfy these protocols; on the host `inferlet.testing`
offers a fake. A failing call raises `Host.error`, whose `value` is the WIT record `error`.
"""

from collections.abc import Callable
from typing import Any, Protocol

from inferlet.errors import ErrorRecord, InferletError, from_wit


class FuturesHost(Protocol):
    def poll(self, futures: list[int], /) -> list[int]: ...
    def wait_any(self, futures: list[int], timeout_ms: int | None, /) -> list[int]: ...
    def wait(self, future: int, /) -> None: ...
    def take_text(self, future: int, /) -> str: ...
    def take_blob(self, future: int, /) -> bytes: ...
    def drop(self, futures: list[int], /) -> None: ...


class ModelRecord(Protocol):
    name: str
    description: str
    version: str
    license: str
    chat_template: str
    context_length: int
    vocabulary_size: int
    page_size: int
    stop_tokens: list[int]
    bos_token: int | None


class UsageRecord(Protocol):
    """What the program has used, and what is left of its limits."""

    pages: int
    embs: int
    page_seconds: float
    tokens: int
    compute_ms: float
    cpu_ms: float
    host_calls: int
    bytes_out: int
    cpu_ms_left: float
    wall_ms_left: float
    pages_left: int


class RuntimeHost(Protocol):
    Stream: Any
    """The enum with `STDOUT` and `STDERR`."""

    def get_version(self) -> str: ...
    def get_instance_id(self) -> str: ...
    def get_arg(self) -> list[str]: ...
    def send(self, msg: str, /) -> None: ...
    def send_blob(self, msg: bytes, /) -> None: ...
    def receive(self) -> int: ...
    def receive_blob(self) -> int: ...
    def log(self, to: Any, text: str, /) -> None: ...
    def sleep(self, ms: int, /) -> int: ...
    def now(self) -> int: ...
    def available_models(self) -> list[Any]: ...
    def available_traits(self, model: str, /) -> list[str]: ...
    def create_queue(self, model: str, /) -> int: ...
    def set_queue_priority(self, queue: int, priority: int, /) -> None: ...
    def synchronize(self, queue: int, /) -> int: ...
    def reset_queue(self, queue: int, /) -> None: ...
    def debug_query(self, queue: int, /) -> str: ...
    def usage(self) -> Any: ...


class AllocateHost(Protocol):
    def kvpage_size(self, model: str, /) -> int: ...
    def alloc_kvpage(self, queue: int, pages: list[int], /) -> None: ...
    def dealloc_kvpage(self, queue: int, pages: list[int], /) -> None: ...
    def alloc_emb(self, queue: int, embs: list[int], /) -> None: ...
    def dealloc_emb(self, queue: int, embs: list[int], /) -> None: ...
    def copy_kvpage(self, queue: int, src: list[int], dst: list[int], spans: list[Any], /) -> None: ...
    def fork_kvpage(self, queue: int, src: list[int], dst: list[int], /) -> None: ...


class ForwardHost(Protocol):
    def forward(
        self, queue: int, ikv: list[int], iemb: list[int], okv: list[int], okv_offset: int,
        oemb: list[int], outputs: list[int], mask: list[list[int]] | None, /,
    ) -> None: ...
    def mask_kvpage(self, queue: int, page: int, visible: int, /) -> None: ...


class InputTextHost(Protocol):
    def embed_txt(
        self, queue: int, tokens: list[int], positions: list[int], embs: list[int], /
    ) -> None: ...


class TokenizeHost(Protocol):
    def tokenize(self, model: str, text: str, /) -> list[int]: ...
    def detokenize(self, model: str, tokens: list[int], /) -> str: ...
    def token_bytes(self, model: str, tokens: list[int], /) -> bytes: ...
    def get_vocabs(self, model: str, /) -> list[bytes]: ...
    def apply_chat_template(self, model: str, messages: str, add_generation_prompt: bool, /) -> str: ...


class OutputTextHost(Protocol):
    def get_next_dist(self, queue: int, emb: int, top_k: int, tokens: list[int], /) -> int: ...
    def decode_step(
        self, queue: int, token: int, position: int, ikv: list[int], emb: int, okv: int, okv_offset: int,
        oemb: int, top_k: int, /,
    ) -> int: ...
    def decode_greedy(
        self, queue: int, token: int, position: int, pages: list[int], emb: int, oemb: int, count: int,
        stop: list[int], /,
    ) -> int: ...
    def take_tokens(self, run: int, /) -> list[int]: ...
    def dist_max_index(self, dist: int, /) -> int: ...
    def take_max_index(self, dist: int, /) -> int: ...
    def dist_sample(self, dist: int, how: Any, /) -> int: ...
    def dist_top(self, dist: int, k: int, /) -> tuple[list[int], list[float]]: ...
    def dist_logprob(self, dist: int, token: int, /) -> float: ...
    def dist_entropy(self, dist: int, /) -> float: ...


class Host:
    """One object for all interfaces.

    `error` is the exception class whose `value` is the WIT error. `monotonic` is the clock of timers, in
    seconds; without it they use `runtime.now`.
    """

    __slots__ = (
        "allocate", "error", "forward", "futures", "input_text", "monotonic", "output_text", "runtime",
        "tokenize",
    )

    def __init__(
        self, *, futures: FuturesHost, runtime: RuntimeHost, allocate: AllocateHost, forward: ForwardHost,
        input_text: InputTextHost, tokenize: TokenizeHost, output_text: OutputTextHost,
        error: type[Exception], monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.futures = futures
        self.runtime = runtime
        self.allocate = allocate
        self.forward = forward
        self.input_text = input_text
        self.tokenize = tokenize
        self.output_text = output_text
        self.error = error
        self.monotonic = monotonic or self._seconds

    def _seconds(self) -> float:
        return self.runtime.now() / 1000


class _Unbound:
    """Stands where the host will be: touching it says what is missing."""

    error = ()
    """Catches nothing: the message below is the answer."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(
            "no server to talk to: this program runs outside the sandbox. Start it with `pie run FILE`, or "
            "in a test with `inferlet.testing.FakeHost`"
        )


class Dropped(list[int]):
    """Numbers of futures that nobody holds any more."""

    __slots__ = ("urgent",)

    def __init__(self) -> None:
        super().__init__()
        self.urgent = False
        """One of them is still running and could be cancelled."""


class Binding:
    """The host that this program talks to, and what belongs to the connection.

    A program has exactly one for its whole life (the sandbox starts a fresh interpreter for each), so this
    is the one thing here that is global.
    """

    __slots__ = ("dropped", "host", "models", "records")

    def __init__(self) -> None:
        self.bind(None)

    def bind(self, host: Host | None) -> None:
        self.host: Host = _Unbound() if host is None else host  # type: ignore[assignment]
        self.dropped = Dropped()
        self.models: dict[str, Any] = {}
        """What the program's contexts share, by name of model (`inferlet.pools`)."""
        self.records: list[Any] = []
        """The models that are served, asked for once."""

    def forget_dropped(self) -> None:
        """Tells the host about the dropped futures, all in one call."""
        dropped = self.dropped
        ids = dropped[:]
        dropped.clear()
        dropped.urgent = False
        self.host.futures.drop(ids)


bound = Binding()


def bind(host: Host | None) -> None:
    """Connects the library to a host. Called once by the runner; tests use `inferlet.testing.FakeHost`."""
    bound.bind(host)


def translate(failure: Exception) -> InferletError:
    """The SDK's exception for what a host call raised."""
    value: ErrorRecord = failure.value  # type: ignore[attr-defined]
    return from_wit(value)
