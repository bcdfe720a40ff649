"""Programs in their sandboxes: the wasm engine, guests as fibers, what a program may call and use.

Nothing here decides about pages or batches (that is `control/`), and no tensor or socket is in sight.
"""

from pie.application.application import Application
from pie.application.instance import Instance
from pie.application.settings import ApplicationSettings
from pie.application.statistics import ApplicationStatistics
from pie.application.usage import InstanceUsage

__all__ = ["Application", "ApplicationSettings", "ApplicationStatistics", "Instance", "InstanceUsage"]
