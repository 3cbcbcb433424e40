"""One hub process put together: the parts, the live side, and the ASGI application over them.

A table and wiring only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from starlette.applications import Starlette
from starlette.types import ASGIApp

from controlplane import clock
from controlplane.access.authenticate import Authenticator
from controlplane.access.oidc_provider import OidcProvider
from controlplane.access.page_address import configured_prefix
from controlplane.access.passwords import Passwords
from controlplane.api.router import Router
from controlplane.api.routes import OPERATIONS, openapi_json
from controlplane.audit.service import RecordKeeper
from controlplane.bus.base import Bus
from controlplane.bus.open_bus import open_bus
from controlplane.context import Hub
from controlplane.dashboard.site import Dashboard
from controlplane.directory import AgentDirectory
from controlplane.events import EventBus
from controlplane.file_stores import StorageKeeper
from controlplane.files.tickets import UPLOADS_PATH
from controlplane.first_start import open_hub_data
from controlplane.hub.dispatcher import Dispatcher
from controlplane.hub.endpoint import AGENT_PATH, AgentEndpoint
from controlplane.hub.lifecycle import run_live
from controlplane.hub.live import Live
from controlplane.hub.registry import Registry
from controlplane.intents.service import announce
from controlplane.maintenance import run_maintenance
from controlplane.membership import Membership, run_membership
from controlplane.mending import mend_after_change
from controlplane.neighbours import Neighbours
from controlplane.secret_keeper import SecretKeeper
from controlplane.settings import HubSettings
from controlplane.telemetry import Metrics
from controlplane.token_keys import TokenKeys
from controlplane.webhooks.worker import run_webhooks

_LIVE_PATHS = (AGENT_PATH, UPLOADS_PATH)


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A hub that serves: its parts, its live side, its application."""

    hub: Hub
    live: Live
    app: ASGIApp
    first_api_key: str | None
    """The first admin's key, when this start made the hub."""


@asynccontextmanager
async def open_hub(settings: HubSettings) -> AsyncIterator[RunningHub]:
    """Run a hub inside the block; afterwards agents have been told and the database is closed.

    Raises:
        HalfInitialisedError, KeyFileError: the data folder must be looked at first.
        UnavailableError, MigrationError: the database cannot be used.
    """
    identity, database, first_api_key = await open_hub_data(settings)
    files = None
    bus: Bus | None = None
    try:
        secrets = await SecretKeeper.load(settings.effective_secrets_key_file, database)
        metrics, process_id = Metrics(), clock.new_id()
        bus = open_bus(
            settings,
            member=process_id,
            hub=identity.hub_did,
            secrets=secrets,
            metrics=metrics.bus,
        )
        neighbours, events = Neighbours(bus), EventBus()
        registry = Registry(neighbours.tell)
        storage = await StorageKeeper.load(settings, secrets, database)
        files = storage.files
        dispatcher = Dispatcher(
            database=database,
            registry=registry,
            settings=settings,
            announce=lambda records: announce(hub, records),
            elsewhere=neighbours.wake,
        )
        hub = Hub(
            settings=settings,
            identity=identity,
            database=database,
            files=files,
            registry=registry,
            dispatcher=dispatcher,
            events=events,
            metrics=metrics,
            secrets=secrets,
            agents=AgentDirectory(database),
            authenticator=Authenticator(
                database, idle=timedelta(seconds=settings.session_idle_seconds)
            ),
            record=RecordKeeper(database, identity),
            passwords=Passwords(),
            providers={one.name: OidcProvider(one) for one in settings.oidc},
            storage=storage,
            neighbours=neighbours,
            token_keys=await TokenKeys.load(database, secrets),
            membership=Membership(database, None if bus.is_alone else process_id),
        )
        await mend_after_change(hub)
        async with (
            run_membership(hub.membership),
            run_live(hub, registry, dispatcher) as live,
            run_maintenance(hub),
            run_webhooks(hub),
        ):
            try:
                yield RunningHub(hub, live, build_app(hub, live), first_api_key)
            finally:
                # Streams end first: they would keep the server from closing.
                events.close()
    finally:
        if bus is not None:
            await bus.close()
        if files is not None:
            await files.close()
        await database.close()


def build_app(hub: Hub, live: Live) -> ASGIApp:
    """Return the ASGI application: agents on their socket, all else on the router and its pages."""
    endpoint = AgentEndpoint(live)
    application = Starlette(routes=endpoint.routes())
    router = Router(hub, OPERATIONS, openapi_json, Dashboard().reply)
    application.router.default = router
    application.router.redirect_slashes = False

    prefix = configured_prefix(hub.settings.public_url)

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        # A proxy may leave the path we lie below on or take it off.
        if prefix and scope["type"] != "lifespan" and scope["path"].startswith(f"{prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(prefix)}
        # Requests and agents go straight to their end: an order should not pass a framework on its
        # way, nor each frame of an agent, whose every turn would resume all of its layers.
        if scope["type"] == "http" and not scope["path"].startswith(_LIVE_PATHS):
            await router(scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == AGENT_PATH:
            await endpoint(scope, receive, send)
        else:
            await application(scope, receive, send)

    return app
