"""The control layer's face: models come in, sessions go out, passes flow."""

from collections.abc import Callable
from typing import Any

from pie.control.lane import Lane
from pie.control.session import Session
from pie.control.settings import ControlSettings
from pie.control.statistics import ControlStatistics
from pie.control.tenants import Tenants
from pie.core.clock import Clock
from pie.core.driver import Driver
from pie.core.errors import NotFound, WrongState
from pie.core.ids import InstanceId
from pie.core.model import ModelInfo
from pie.core.programs import DEFAULT_TENANT, Limits
from pie.core.tokenizer import Tokenizer


def _nobody() -> int:
    return 0


class Control:
    """Lives on one thread; none of its methods waits."""

    def __init__(self, settings: ControlSettings, clock: Clock) -> None:
        self.guests_runnable: Callable[[], int] = _nobody
        """How many programs could run at this moment; set by the application layer."""
        self._settings = settings
        self._clock = clock
        self.tenants = Tenants(settings.quotas, settings.quota_seconds, clock)
        self._lanes: dict[str, Lane] = {}
        self._sessions: dict[InstanceId, Session] = {}

    def add_model(self, info: ModelInfo, driver: Driver, tokenizer: Tokenizer) -> None:
        """Serves a model. The driver must be ready; its pages must be as large as the model info says."""
        if info.name in self._lanes:
            raise WrongState(f"model {info.name} is served already")
        self._lanes[info.name] = Lane(info, driver, tokenizer, self._settings, self._clock, self.runnable)

    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(lane.info for lane in self._lanes.values())

    def model(self, name: str) -> ModelInfo:
        """Raises `NotFound`, which lists the models there are."""
        return self._lane(name).info

    def tokenizer(self, model: str) -> Tokenizer:
        return self._lane(model).tokenizer

    def open(
        self,
        instance: InstanceId,
        limits: Limits,
        tenant: str = DEFAULT_TENANT,
        parent: Session | None = None,
    ) -> Session:
        """`tenant`: whose exported pages it sees, and who pays. `parent`: who pays, too. Raises `WrongState`
        while a session of the same name is open."""
        if instance in self._sessions:
            raise WrongState(f"instance {instance} is open already")
        session = self.make_session(
            instance,
            limits,
            self._settings,
            self._clock,
            self._lane,
            self._lanes.values,
            self._forget,
            self.tenants.of(tenant),
            parent,
        )
        self._sessions[instance] = session
        return session

    def make_session(self, *about: Any) -> Session:
        """For `open`; a control layer that is recorded has sessions that are."""
        return Session(*about)

    def driver_works(self) -> bool:
        """Whether a pass of any model is with its driver."""
        return any(lane.planner.in_flight for lane in self._lanes.values())

    def runnable(self) -> int:
        """How many programs could run; asked for by policies."""
        return self.guests_runnable()

    @property
    def at_rest(self) -> bool:
        """`pump` would do nothing."""
        return all(lane.planner.at_rest for lane in self._lanes.values())

    def adopt(self, settings: ControlSettings) -> None:
        """How passes are planned from now on; what sessions may take stays as it was."""
        for lane in self._lanes.values():
            lane.planner.adopt(settings)

    def pump(self) -> None:
        """Plans and sends while there is something to send. Cheap when there is not."""
        for lane in self._lanes.values():
            lane.pump()

    def statistics(self) -> ControlStatistics:
        models = {name: lane.statistics() for name, lane in self._lanes.items()}
        return ControlStatistics(sessions=len(self._sessions), models=models)

    def check_integrity(self) -> None:
        """Raises `InternalError` unless, for each model, free + held is the total and every
        lease's place is counted exactly."""
        for lane in self._lanes.values():
            lane.memory.check_integrity()
            lane.exports.check_integrity()

    def _lane(self, name: str) -> Lane:
        try:
            return self._lanes[name]
        except KeyError:
            there = ", ".join(self._lanes) or "none"
            raise NotFound(f"no model {name} is served here; there are: {there}") from None

    def _forget(self, instance: InstanceId) -> None:
        del self._sessions[instance]
