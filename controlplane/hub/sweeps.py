"""What time alone brings about: dead connections, silent agents, orders and requests that expire.

One look per interval over everything, instead of timers per connection. A sweep that fails is
logged and tried again; it never ends the hub.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from controlplane import clock
from controlplane.hub.claims import sweep_claims, wake_due
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from controlplane.intents import service
from protocol.errors import Error
from protocol.limits import MISSED_INTERVALS, CloseCode

log = structlog.get_logger(__name__)

CONNECTIONS_SECONDS = 1.0
HEARTBEATS_SECONDS = 5.0
EXPIRY_SECONDS = 1.0
REGISTRATIONS_SECONDS = 60.0
CLAIMS_SECONDS = 15.0
DUE_SECONDS = 10.0
"""How often agents are woken for whom no hint came."""
DUE_WITHOUT_BUS_SECONDS = 1.0
"""How often, while no hint can come."""
EXPIRE_AT_ONCE = 500
CONNECTIONS_AT_ONCE = 500
"""Connections looked at before others get the event loop back."""


def start_sweeps(live: Live) -> None:
    """Start every sweep beside everything else; `Live.stop` ends them."""
    for name, interval_seconds, sweep in (
        ("connections", CONNECTIONS_SECONDS, sweep_connections),
        ("heartbeats", HEARTBEATS_SECONDS, Live.flush_heartbeats),
        ("expiry", EXPIRY_SECONDS, expire_intents),
        ("registrations", REGISTRATIONS_SECONDS, expire_registrations),
        ("claims", CLAIMS_SECONDS, sweep_claims),
        ("due", 1.0, wake_what_is_due),
    ):
        live.start(_repeat(live, interval_seconds, sweep), name=f"sweep {name}")


async def _repeat(
    live: Live, interval_seconds: float, sweep: Callable[[Live], Awaitable[None]]
) -> None:
    while True:
        await asyncio.sleep(interval_seconds)
        try:
            await sweep(live)
        except Error as error:
            log.warning("sweep_postponed", sweep=sweep.__name__, code=error.code)


async def sweep_connections(live: Live) -> None:
    """Close what is dead or does not read; send again what was not acknowledged."""
    online = pending = 0
    for number, connection in enumerate(live.registry.connections(), start=1):
        now = time.monotonic()
        if connection.is_online:
            online += 1
        elif connection.is_pending:
            pending += 1
        check_liveness(connection, now)
        live.dispatcher.resend_silent(connection, now)
        if number % CONNECTIONS_AT_ONCE == 0:
            await asyncio.sleep(0)
    gauge = live.hub.metrics.connections
    gauge.labels("online").set(online)
    gauge.labels("pending").set(pending)
    gauge.labels("unregistered").set(live.unregistered.total)


def check_liveness(connection: Connection, now_seconds: float) -> None:
    """Close 4408 after two missed heartbeats, 4429 when nothing was read for a ping interval.

    Args:
        connection: any open connection.
        now_seconds: monotonic.
    """
    transport, settings = connection.transport, connection.settings
    if not transport.is_open:
        return
    if transport.has_room:
        connection.stalled_since = None
    elif connection.stalled_since is None:
        connection.stalled_since = now_seconds
    elif now_seconds - connection.stalled_since > settings.ping_seconds:
        connection.drop_slow_reader()
        return
    patience_seconds = MISSED_INTERVALS * settings.heartbeat_seconds
    if (
        connection.is_online or connection.is_pending
    ) and now_seconds - connection.heard_at > patience_seconds:
        connection.close(CloseCode.DEADLINE, "no heartbeat")


async def expire_intents(live: Live) -> None:
    """End the orders that time alone ends."""
    hub = live.hub.as_leader()
    if hub is None:
        return
    ended = await hub.database.write(
        lambda uow: service.expire_due(uow, now=clock.now(), limit=EXPIRE_AT_ONCE)
    )
    service.announce(hub, ended)


async def expire_registrations(live: Live) -> None:
    """End the requests that nobody decided in time."""
    hub = live.hub.as_leader()
    if hub is not None:
        await hub.database.write(lambda uow: uow.registrations.expire(clock.now()))


async def wake_what_is_due(live: Live) -> None:
    """Wake whom no hint reached or the clock put off: now and then, often while there is no bus."""
    linked = live.hub.neighbours.bus.is_linked
    every_seconds = DUE_SECONDS if linked else DUE_WITHOUT_BUS_SECONDS
    now = time.monotonic()
    if now - live.woken_at >= every_seconds or linked is not live.was_linked:
        live.woken_at, live.was_linked = now, linked
        await wake_due(live)
