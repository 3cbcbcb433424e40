"""From the settings to a bus; NATS is imported only when it is asked for."""

from __future__ import annotations

from types import ModuleType

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
    bus: Bus = _nats(settings).NatsBus(
        settings.bus_url,
        member=member,
        hub=hub,
        secrets=secrets,
        metrics=metrics,
        credentials=settings.bus_credentials_file,
    )
    return bus


async def check_bus_server(settings: HubSettings) -> None:
    """Return when the server of the bus lets this hub in; nothing is left there.

    Raises:
        SettingsError: no such bus, or it is not installed.
        BusUnavailableError: it does not answer.
    """
    await _nats(settings).check_server(settings.bus_url, settings.bus_credentials_file)


def _nats(settings: HubSettings) -> ModuleType:
    if settings.effective_database_url.startswith("sqlite"):
        raise SettingsError("bus_url: several processes of a hub need Postgres, not SQLite")
    if not settings.bus_url.startswith(("nats://", "tls://")):
        raise SettingsError("bus_url: nats://host:port or tls://host:port")
    try:
        from controlplane.bus import nats
    except ImportError as exc:
        raise SettingsError("bus_url: NATS needs the extra: pip install 'writd[nats]'") from exc
    return nats
