"""What has to be told to the room above. Nothing is delivered once the queue's session has closed."""

from typing import NamedTuple

from pie.control.queue import CommandQueue
from pie.core.commands import Completion, Listener
from pie.core.errors import PieError


class Outcome(NamedTuple):
    """The end of one command whose caller waits."""

    queue: CommandQueue
    completion: Completion
    value: object
    error: PieError | None

    def deliver(self) -> None:
        if self.queue.closed:
            return
        if self.error is None:
            self.completion.resolve(self.value)
        else:
            self.completion.fail(self.error)


class StepOutcome(NamedTuple):
    """A token of a run, which goes on or is ended by the next outcome."""

    queue: CommandQueue
    listener: Listener
    token: int

    def deliver(self) -> None:
        if not self.queue.closed:
            self.listener.add(self.token)


AnyOutcome = Outcome | StepOutcome
