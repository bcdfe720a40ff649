"""What runs programs beside the drivers: application and control as the settings want them.

`launch.py` imports this by name once the drivers are starting: loading it takes half a second.
"""

from dataclasses import dataclass, fields

from pie.application import Application, ApplicationSettings
from pie.application.admission import AdmissionSettings
from pie.application.egress_hosts import parse_patterns
from pie.application.egress_settings import EgressSettings
from pie.application.store import StoreSettings
from pie.control import Control, ControlSettings
from pie.control.record_file import RecordWriter
from pie.control.recording import RecordedControl
from pie.core.programs import DEFAULT_TENANT, Limits, Quota
from pie.loop_clock import LoopClock
from pie.settings import Settings, default_threads


@dataclass(frozen=True, slots=True)
class Host:
    """The layers above the drivers."""

    control: Control
    application: Application
    limits: Limits
    """Of a program that asks for none."""
    grace_seconds: float

    async def close(self) -> None:
        """Programs first."""
        await self.application.close(self.grace_seconds)
        if isinstance(self.control, RecordedControl):
            self.control.tape.close()


def make_host(settings: Settings) -> Host:
    """Raises `InvalidArgument` for settings that cannot be followed."""
    options, control = application_settings(settings), make_control(settings)
    return Host(control, Application(options, control), options.limits, settings.grace_seconds)


def control_settings(settings: Settings) -> ControlSettings:
    return ControlSettings(
        policy=settings.policy,
        k=settings.policy_k,
        t_ms=settings.policy_t_ms,
        fuse=settings.fuse,
        passes_in_flight=settings.passes_in_flight,
        max_batch_tokens=settings.batch_tokens,
        prefill_tokens=settings.prefill_tokens,
        trace_events=settings.trace_events,
        export_bytes=settings.export_mib << 20,
        weights={name: tenant.weight for name, tenant in settings.tenants.items()},
        quotas=quotas(settings),
        quota_seconds=settings.quota_seconds,
    )


def make_control(settings: Settings) -> Control:
    """Recorded where the settings say so. Raises `InvalidArgument` for a file that cannot be written."""
    options, clock = control_settings(settings), LoopClock()
    if settings.record is None:
        return Control(options, clock)
    return RecordedControl(options, clock, RecordWriter(settings.record, settings.record_mib << 20))


def quotas(settings: Settings) -> dict[str, Quota]:
    """Of the tenants that the settings name."""
    names = {field.name for field in fields(Quota)}
    return {name: Quota(**tenant.model_dump(include=names)) for name, tenant in settings.tenants.items()}


def default_limits(settings: Settings) -> Limits:
    return Limits(
        memory_bytes=settings.memory_mib << 20,
        cpu_seconds=settings.cpu_seconds,
        wall_seconds=settings.wall_seconds,
        wait_seconds=settings.wait_seconds,
        pages=settings.page_limit,
        children=settings.children,
        tokens=settings.token_limit,
        compute_ms=settings.compute_limit_ms,
        page_seconds=settings.page_second_limit,
        host_calls=settings.host_call_limit,
        bytes_out=settings.bytes_out_limit,
    )


def egress_settings(settings: Settings) -> EgressSettings:
    """Raises `InvalidArgument` for hosts that are none."""
    return EgressSettings(
        hosts=parse_patterns(settings.allow_hosts),
        private_hosts=parse_patterns(settings.allow_private_hosts),
        seconds=settings.http_seconds,
        response_bytes=settings.http_response_mib << 20,
        connections=settings.http_connections,
    )


def store_settings(settings: Settings) -> StoreSettings:
    folder = settings.home / "store" if settings.store == "durable" else None
    return StoreSettings(folder, bytes_each=settings.store_mib << 20)


def admission_settings(settings: Settings) -> AdmissionSettings:
    """Where there is one tenant, everything is its own."""
    tenants = {*settings.api_keys.values(), *([DEFAULT_TENANT] if settings.api_key else [])}
    share = settings.tenant_share if len(tenants) > 1 else 1.0
    shares = {name: each.share for name, each in settings.tenants.items() if each.share is not None}
    return AdmissionSettings(
        settings.instances, settings.launch_queue, share=share, shares=shares, quotas=quotas(settings)
    )


def compute_share(settings: Settings) -> float:
    """Drivers that use all cores wait for whatever else runs on one of them."""
    if settings.compute_share is not None:
        return settings.compute_share
    busy = (1 + len(settings.more_models)) * settings.threads
    return 1.0 if busy < default_threads() else 0.25


def application_settings(settings: Settings) -> ApplicationSettings:
    return ApplicationSettings(
        home=settings.home,
        admission=admission_settings(settings),
        limits=default_limits(settings),
        compute_share=compute_share(settings),
        egress=egress_settings(settings),
        store=store_settings(settings),
    )
