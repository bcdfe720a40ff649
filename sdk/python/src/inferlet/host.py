"""What a program is bound to: all interfaces of the contract, in one object.

In the sandbox the generated modules themselves satisfy the protocols; on the host `inferlet.testing` offers
a fake. A failing call raises `Host.error`, whose `value` is the WIT record `error`.
"""

from collections.abc import Callable
from typing import Any

from inferlet.errors import ErrorRecord, InferletError, from_wit
from inferlet.interfaces import (
    AllocateHost,
    ConstrainHost,
    ForwardHost,
    FuturesHost,
    HttpHost,
    InputImageHost,
    InputTextHost,
    IntrospectHost,
    OutputTextHost,
    RuntimeHost,
    SampleHost,
    ScoreHost,
    SpawningHost,
    StoreHost,
    TokenizeHost,
    TopicsHost,
)


class Host:
    """One object for all interfaces.

    `error` is the exception class whose `value` is the WIT error. `monotonic` is the clock of timers, in
    seconds; without it they use `runtime.now`.
    """

    __slots__ = (
        "allocate", "constrain", "error", "forward", "futures", "http", "input_image", "input_text",
        "introspect", "monotonic", "output_text", "runtime", "sample", "score", "spawning", "store",
        "tokenize", "topics",
    )

    def __init__(
        self, *, futures: FuturesHost, runtime: RuntimeHost, allocate: AllocateHost, forward: ForwardHost,
        input_text: InputTextHost, tokenize: TokenizeHost, output_text: OutputTextHost, sample: SampleHost,
        constrain: ConstrainHost, score: ScoreHost, introspect: IntrospectHost, input_image: InputImageHost,
        http: HttpHost, topics: TopicsHost, spawning: SpawningHost, store: StoreHost,
        error: type[Exception], monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.futures = futures
        self.runtime = runtime
        self.allocate = allocate
        self.forward = forward
        self.input_text = input_text
        self.tokenize = tokenize
        self.output_text = output_text
        self.sample = sample
        self.constrain = constrain
        self.score = score
        self.introspect = introspect
        self.input_image = input_image
        self.http = http
        self.topics = topics
        self.spawning = spawning
        self.store = store
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

    def state(self) -> tuple[Any, ...]:
        """Everything, for `restore`: a test may bind one host within another."""
        return self.host, self.dropped, self.models, self.records

    def restore(self, state: tuple[Any, ...]) -> None:
        self.host, self.dropped, self.models, self.records = state

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
