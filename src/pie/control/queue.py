"""Commands of one program that keep their order."""

from collections import deque

from pie.control.account import Account
from pie.control.addresses import AddressSpace
from pie.control.work import Work
from pie.core.errors import PieError
from pie.core.ids import QueueId


class CommandQueue:
    """Checked commands in the order of submission. The planner takes them from the front.

    The first failure poisons a queue: `error` stays until a reset, and what was waiting is dropped. Each
    reset begins a new epoch, so that a pass sent before it can no longer poison the queue.
    """

    __slots__ = (
        "account", "closed", "epoch", "error", "last_pass", "name", "priority", "since", "skipped",
        "space", "work",
    )  # fmt: skip

    def __init__(self, name: QueueId, space: AddressSpace, account: Account) -> None:
        self.name = name
        self.space = space
        self.account = account
        self.work: deque[Work] = deque()
        self.priority = 0
        self.epoch = 0
        self.error: PieError | None = None
        self.closed = False
        self.since = 0.0
        """When its first command began to wait for a pass."""
        self.last_pass = 0
        """Number of the last pass that took something."""
        self.skipped = 0
        """Passes since then that took nothing although something waited."""

    def take_all(self) -> list[Work]:
        """What was waiting; none of it will be executed."""
        dropped = list(self.work)
        self.work.clear()
        self.account.settle(len(dropped), sum(work.size for work in dropped))
        return dropped

    def turn(self, patience: int) -> tuple[bool, int, int]:
        """Sorts queues: left out for too long first, then by priority, then those served least recently."""
        return (self.skipped < patience, -self.priority, self.last_pass)
