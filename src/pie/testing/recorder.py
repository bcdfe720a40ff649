"""Completions that remember what happened to them."""

from dataclasses import dataclass

from pie.core.commands import Dist
from pie.core.errors import PieError


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call of a completion. `error` is None where it was resolved."""

    label: str
    value: object
    error: PieError | None


class RecordingCompletion:
    """A `core.commands.Completion`. Being called twice is an error of whoever calls."""

    def __init__(self, label: str, events: list[Recorded]) -> None:
        self.label = label
        self._events = events
        self._done = False

    def resolve(self, value: object) -> None:
        self._record(Recorded(self.label, value, None))

    def fail(self, error: PieError) -> None:
        self._record(Recorded(self.label, None, error))

    def _record(self, event: Recorded) -> None:
        if self._done:
            raise RuntimeError(f"completion {self.label} was called twice")
        self._done = True
        self._events.append(event)


class RecordingListener(RecordingCompletion):
    """A `core.commands.Listener`; `tokens` are those that it has heard of, and its value where it got any."""

    def __init__(self, label: str, events: list[Recorded]) -> None:
        super().__init__(label, events)
        self.tokens: list[int] = []

    def resolve(self, value: object) -> None:
        super().resolve(self.tokens or value)

    def add(self, token: int) -> None:
        if self._done:
            raise RuntimeError(f"listener {self.label} heard of a token after its end")
        self.tokens.append(token)


class Recorder:
    """Makes completions and keeps what they were told, in order."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []

    def completion(self, label: str) -> RecordingCompletion:
        return RecordingCompletion(label, self.events)

    def listener(self, label: str) -> RecordingListener:
        return RecordingListener(label, self.events)

    @property
    def labels(self) -> list[str]:
        return [event.label for event in self.events]

    def __getitem__(self, label: str) -> Recorded:
        """Raises `KeyError` while the completion has not been called."""
        for event in self.events:
            if event.label == label:
                return event
        raise KeyError(f"{label} has not completed; completed: {self.labels}")

    def dist(self, label: str) -> Dist:
        """The distribution a completion got; raises the error it got instead."""
        event = self[label]
        if event.error is not None:
            raise event.error
        if not isinstance(event.value, Dist):
            raise TypeError(f"{label} completed with {event.value!r}, not with a distribution")
        return event.value

    def error(self, label: str) -> PieError:
        event = self[label]
        if event.error is None:
            raise TypeError(f"{label} did not fail")
        return event.error
