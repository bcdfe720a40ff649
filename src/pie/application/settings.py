"""Every setting of the application layer."""

from dataclasses import dataclass, field
from pathlib import Path

from pie.application.admission import AdmissionSettings
from pie.application.egress_settings import EgressSettings
from pie.application.store import StoreSettings
from pie.core.programs import Limits


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    home: Path
    """Holds `guests/` (built runners) and `compiled/` (machine code)."""
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)
    limits: Limits = field(default_factory=Limits)
    """No instance gets more than this, whatever its launch asks for."""
    compute_share: float = 1.0
    """Of a core, for programs that compute while a driver works."""
    finished_kept: int = 1024
    """Instances that can still be looked at after their end ..."""
    finished_bytes: int = 64 << 20
    """... as long as their events are not larger together."""
    spares: int = 8
    """Sandboxes kept ready for launches; each takes about half a megabyte."""
    max_component_bytes: int = 128 << 20
    grammar_seconds: float = 0.5
    """Processor time that compiling one grammar may take (most take milliseconds) ..."""
    grammar_wait_seconds: float = 5.0
    """... and time by the clock, after which it is given up."""
    max_grammar_bytes: int = 64 << 10
    max_grammars: int = 64
    """Of one program, being checked or not yet dropped."""
    build_seconds: float = 600.0
    """Bound on building the runner, and on compiling a component."""
    egress: EgressSettings = field(default_factory=EgressSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
