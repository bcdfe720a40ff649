"""How each command gets into a pass: one function for each, by the class of its work.

Those for the commands of a trait stand in a file of their own, with a table `PLACERS`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pie.control import (
    placing_decode,
    placing_forward,
    placing_matchers,
    placing_pages,
    placing_score,
    placing_slots,
    placing_stats,
)
from pie.control.batch import Placer

PLACERS: Mapping[type[Any], Placer] = MappingProxyType(
    {
        **placing_pages.PLACERS,
        **placing_forward.PLACERS,
        **placing_slots.PLACERS,
        **placing_decode.PLACERS,
        **placing_score.PLACERS,
        **placing_matchers.PLACERS,
        **placing_stats.PLACERS,
    }
)
