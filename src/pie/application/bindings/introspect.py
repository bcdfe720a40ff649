"""`pie:inferlet/introspect`: where attention goes."""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.application.hostcall import suspends
from pie.core.commands import AttentionStats
from pie.core.errors import InvalidArgument
from pie.core.ids import QueueId, VirtualEmb, VirtualPage


def attention_stats(
    guest: Guest, queue: QueueId, ikv: Sequence[VirtualPage], iemb: Sequence[VirtualEmb]
) -> int:
    return guest.ask(queue, AttentionStats(ikv, iemb))


@suspends
def take_stats(guest: Guest, future: int) -> object:
    found = guest.futures.get(future)

    def finish() -> list[float]:
        shares = found.result()
        if not (isinstance(shares, list) and shares and isinstance(shares[0], float)):
            raise InvalidArgument(f"future {future} has no stats: it is not of attention_stats")
        guest.futures.drop((future,))
        return shares

    return guest.wait_for(found, finish)


FUNCTIONS = (attention_stats, take_stats)
