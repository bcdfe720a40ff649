"""Shipped test doubles: a driver that computes nothing but notices all, time moved by hand, a recorder.

For tests of programs and of rooms above the driver. Where the real part fits, use the real part.
"""

from pie.testing.clock import ManualClock
from pie.testing.driver import FakeDriver
from pie.testing.executor import FakeExecutor
from pie.testing.instant import InstantExecutor
from pie.testing.recorder import Recorded, Recorder
from pie.testing.scores import HashedScores, Scores
from pie.testing.words import fake_model, fake_spec

__all__ = [
    "FakeDriver",
    "FakeExecutor",
    "HashedScores",
    "InstantExecutor",
    "ManualClock",
    "Recorded",
    "Recorder",
    "Scores",
    "fake_model",
    "fake_spec",
]
