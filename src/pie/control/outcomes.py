"""What has to be told to the room above."""

from typing import NamedTuple

from pie.control.queue import CommandQueue
from pie.core.commands import Completion
from pie.core.errors import PieError


class Outcome(NamedTuple):
    """The end of one command whose caller waits. Not delivered once the queue's session has closed."""

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
