"""Decisions: who may use which memory, what is sent to a driver when, and who gets the answer.

No tensors, no wasm, no sockets. `control.py` is the way in; `planner.py` is where the thinking is done, as a
function of its state and the time it is given; `conflicts.py` has the rules of sharing a pass.
"""

from pie.control.control import Control
from pie.control.session import Session
from pie.control.settings import ControlSettings
from pie.control.statistics import ControlStatistics, ModelStatistics, PoolStatistics, SessionUsage

__all__ = [
    "Control",
    "ControlSettings",
    "ControlStatistics",
    "ModelStatistics",
    "PoolStatistics",
    "Session",
    "SessionUsage",
]
