"""Starting and ending the live side: nobody online before, everybody told to come back after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from controlplane import clock
from controlplane.context import Hub
from controlplane.hub import enrolment
from controlplane.hub.dispatcher import Dispatcher
from controlplane.hub.hearing import hear_neighbours
from controlplane.hub.live import Live
from controlplane.hub.registry import Registry
from controlplane.hub.sweeps import start_sweeps
from protocol.errors import Error
from protocol.limits import CloseCode
from protocol.messages.session import Drain

log = structlog.get_logger(__name__)


@asynccontextmanager
async def run_live(hub: Hub, registry: Registry, dispatcher: Dispatcher) -> AsyncIterator[Live]:
    """Run the live side of `hub` inside the block; afterwards nothing of it is left.

    Agents that an earlier process left marked online are offline first: none is connected yet.
    Where the hub has several processes, the leader sets those of a dead one offline.
    The endpoint (`controlplane.hub.endpoint.AgentEndpoint`) serves what this yields.
    """
    live = Live(hub, registry, dispatcher)
    if hub.membership.id is None:
        await hub.database.write(lambda uow: uow.agents.clear_presence(clock.now()))
    registry.on_decision(lambda connection: enrolment.decided(live, connection))
    hear_neighbours(live)
    await hub.neighbours.bus.start()
    start_sweeps(live)
    try:
        yield live
    finally:
        await drain(live)
        registry.on_decision(None)
        await dispatcher.stop()
        await live.stop()


async def drain(live: Live) -> None:
    """Tell every agent to come back later, close 4503, and wait, bounded, until all have gone.

    Called before the server closes its sockets, so that agents learn why; calling it again does
    nothing more. What has arrived is still written.
    """
    settings = live.hub.settings
    live.draining = live.hub.readiness.draining = True
    for number, connection in enumerate(live.registry.connections()):
        # One after another, as fast as a hub takes them in; the agents add up to half of it.
        turn = settings.drain_retry_after_seconds + number // settings.arrivals_per_second
        connection.send(Drain(retry_after_seconds=turn))
        connection.close(CloseCode.DRAINING, "draining")
    try:
        async with asyncio.timeout(settings.shutdown_seconds):
            await live.registry.wait_empty()
    except TimeoutError:
        log.warning("drain_incomplete", connections=len(live.registry))
        for connection in live.registry.connections():
            connection.effects.cancel()
            connection.transport.abort()
    try:
        await live.flush_heartbeats()
    except Error as error:
        log.warning("heartbeats_unwritten", code=error.code)
