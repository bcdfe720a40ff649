"""Where the attention of a few inputs over pages goes."""

from collections.abc import Mapping
from types import MappingProxyType

from pie.control.addresses import AddressSpace
from pie.control.bounds import Bounds, Check
from pie.control.work import ForwardWork, StatsWork
from pie.core.commands import AttentionStats, Completion
from pie.core.errors import InvalidArgument


def attention_stats(
    bounds: Bounds, space: AddressSpace, command: AttentionStats, completion: Completion | None
) -> StatsWork:
    ikv, iemb = command
    if not 0 < len(iemb) <= bounds.max_list:
        raise InvalidArgument(f"attention_stats: {len(iemb)} inputs: give 1 to {bounds.max_list} in iemb")
    bounds.check_length("attention_stats: ikv", ikv)
    size = 2 * len(ikv) + len(iemb)
    reads, inputs = space.pages.find(ikv), space.embs.find(iemb)
    return StatsWork(ForwardWork(reads, inputs, [], 0, [], (), None, size), completion, size)


CHECKS: Mapping[type, Check] = MappingProxyType({AttentionStats: attention_stats})
