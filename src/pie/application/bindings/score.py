"""`pie:inferlet/score`: how probable given tokens are."""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.application.hostcall import suspends
from pie.core.commands import Score
from pie.core.errors import InvalidArgument
from pie.core.ids import QueueId, Token, VirtualEmb


def logprobs(guest: Guest, queue: QueueId, embs: Sequence[VirtualEmb], targets: Sequence[Token]) -> int:
    return guest.ask(queue, Score(embs, targets))


@suspends
def take_logprobs(guest: Guest, future: int) -> object:
    found = guest.futures.get(future)

    def finish() -> list[float]:
        values = found.result()
        if not isinstance(values, list) or not all(isinstance(value, float) for value in values):
            raise InvalidArgument(f"future {future} has no log-probabilities: it is not of logprobs")
        guest.futures.drop((future,))
        return values

    return guest.wait_for(found, finish)


FUNCTIONS = (logprobs, take_logprobs)
