"""From the settings to a bus; NATS is imported only when it is asked for."""

from __future__ import annotations

from controlplane.bus.base import Bus, Sealer
from controlplane.bus.in_process import InProcessBus
from controlplane.errors import SettingsError
from controlplane.settings import HubSettings
from controlplane.telemetry import BusMetrics


def open_bus(
    settings: HubSettings, *, member: str, hub: str, secrets: Sealer, metrics: BusMetrics
) -> Bus:
    """Return the bus of the settings, not yet started.

    Args:
        settings: where it is.
        member: this process's name on it.
        hub: DID of the hub that the process is of.
        secrets: seals what is said.
        metrics: what is counted.

    Raises:
        SettingsError: no such bus, or it is not installed.
    """
    if not settings.bus_url:
        return InProcessBus(member)
    if not settings.bus_url.startswith(("nats://", "tls://")):
        raise SettingsError("bus_url: nats://host:port or tls://host:port")
    try:
        from controlplane.bus.nats import NatsBus
    except ImportError as exc:
        raise SettingsError("bus_url: NATS needs the extra: pip install 'writd[nats]'") from exc
    return NatsBus(
        settings.bus_url,
        member=member,
        hub=hub,
        secrets=secrets,
        metrics=metrics,
        credentials=settings.bus_credentials_file,
    )
