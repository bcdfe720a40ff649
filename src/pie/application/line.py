"""Messages of one kind that wait to be received, in order."""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from pie.application.futures import Future

T = TypeVar("T", str, bytes)


def _nobody_waits() -> None:
    pass


class Line(Generic[T]):
    """Messages, or the futures that wait for them: one of the two is always empty."""

    def __init__(self, on_room: Callable[[], None] = _nobody_waits) -> None:
        """`on_room` is called whenever a message has left the line."""
        self.messages: deque[T] = deque()
        self.size = 0
        """Of the messages together, in characters or bytes."""
        self.waiting: deque[Future] = deque()
        self._on_room = on_room
        self._end: Exception | None = None

    def post(self, message: T) -> None:
        if self.waiting:
            self.waiting.popleft().resolve(message)
        else:
            self.messages.append(message)
            self.size += len(message)

    def receive(self) -> Future:
        """The next message. Fails when there will be none any more."""
        future = Future(self._dropped)
        if self.messages:
            future.resolve(self._pop())
            self._on_room()
        elif self._end is not None:
            future.fail(self._end)
        else:
            self.waiting.append(future)
        return future

    def drop_oldest(self) -> None:
        self._pop()

    def end(self, why: Exception) -> None:
        """No message comes any more; those that are there can still be received."""
        self._end = why
        while self.waiting:
            self.waiting.popleft().fail(why)

    def _pop(self) -> T:
        message = self.messages.popleft()
        self.size -= len(message)
        return message

    def _dropped(self, future: Future) -> None:
        """A message that arrived for a future nobody read goes to the next one."""
        if not future.done:
            self.waiting.remove(future)
        elif future.value is not None:
            message: T = future.value
            future.value = None
            if self.waiting:
                self.waiting.popleft().resolve(message)
            else:
                self.messages.appendleft(message)
                self.size += len(message)
