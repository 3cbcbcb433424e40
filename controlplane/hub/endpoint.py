"""`GET /ws/agent`: from the upgrade to the last byte, one agent's socket (section 4).

Owns accepting, the deadlines and the loop that turns messages into session events; what an event
means is the router's table. Every way out of a connection leads through `_leave`.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Mapping
from typing import cast

import structlog
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from controlplane import clock
from controlplane.access.attempts import address_group
from controlplane.access.cross_site import own_origin
from controlplane.files.tickets import UPLOADS_PATH
from controlplane.hub import enrolment, router
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from controlplane.hub.transport import SCOPE_KEY, Transport
from controlplane.hub.uploads import UploadEndpoint
from controlplane.settings import HubSettings
from protocol.envelope import Envelope
from protocol.errors import Error, RateLimitedError
from protocol.limits import CHALLENGE_BYTES, SUBPROTOCOL, CloseCode
from protocol.messages.session import HelloLimits
from protocol.session import (
    ControlReceived,
    DocumentReceived,
    Event,
    HubSession,
    PeerFailed,
    RegisterReceived,
    SessionState,
)

log = structlog.get_logger(__name__)

AGENT_PATH = "/ws/agent"


class AgentEndpoint:
    """The ASGI application behind `/ws/agent`."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._uploads = UploadEndpoint(live.hub)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the endpoint, the answer to plain HTTP among them."""
        return [
            WebSocketRoute(AGENT_PATH, self, name="agent_socket"),
            Route(AGENT_PATH, self, name="agent_socket_http"),
            Route(UPLOADS_PATH + "{ticket}", self._uploads, name="uploads"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it is closed."""
        if scope["type"] != "websocket" or SUBPROTOCOL not in scope.get("subprotocols", ()):
            await _deny(400, f"a WebSocket with subprotocol {SUBPROTOCOL}", scope, receive, send)
            return
        if _is_foreign_page(scope, self._live.hub.settings):
            await _deny(403, "not from a page of another site", scope, receive, send)
            return
        transport = cast("Transport | None", scope["extensions"].get(SCOPE_KEY))
        if transport is None or self._live.draining:
            await _deny(503, "not serving agents", scope, receive, send)
            return
        client = scope.get("client")
        address = address_group(client[0] if client else None)
        unregistered = self._live.unregistered
        if not unregistered.enter(address):
            status = 503 if unregistered.is_full else 429
            turn = self._live.turns.next_seconds(address, time.monotonic())
            headers = {"Retry-After": str(math.ceil(turn))}
            await _deny(status, "too many at once; come back", scope, receive, send, headers)
            return
        connection: Connection | None = None
        try:
            connection = await self._accept(transport, address, scope, receive, send)
            await self._converse(connection, receive)
        finally:
            if connection is None:
                self._live.unregistered.leave(address)
                transport.abort()
            else:
                await self._leave(connection)

    async def _accept(
        self, transport: Transport, address: str, scope: Scope, receive: Receive, send: Send
    ) -> Connection:
        await receive()  # websocket.connect
        settings = self._live.hub.settings
        identity = self._live.hub.identity
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        transport.limit_frames(settings.max_frame_bytes_before_registration)
        session = HubSession(
            session_id=clock.new_id(),
            challenge=os.urandom(CHALLENGE_BYTES),
            hub_key=identity.hub_key,
            root_did=identity.root_did,
            hub_delegation=identity.hub_delegation,
            hello_limits=HelloLimits(
                max_frame_bytes=settings.max_frame_bytes,
                max_frame_bytes_before_registration=settings.max_frame_bytes_before_registration,
                heartbeat_seconds=settings.heartbeat_seconds,
                clock_skew_seconds=settings.clock_skew_seconds,
            ),
            root_rotations=identity.root_rotations,
            clock_skew_seconds=settings.clock_skew_seconds,
        )
        connection = Connection(
            session=session,
            transport=transport,
            address=address,
            base_url=settings.public_url.rstrip("/") or _base_url(scope),
            database=self._live.hub.database,
            settings=settings,
        )
        self._live.registry.add(connection)
        session.start(now=clock.now(), id=clock.new_id())
        connection.flush()
        connection.register_timer = asyncio.get_running_loop().call_later(
            settings.register_deadline_seconds, _register_deadline, connection
        )
        return connection

    async def _converse(self, connection: Connection, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            if not connection.transport.is_open:
                continue
            await self._take(connection, message.get("text") or message.get("bytes") or "")

    async def _take(self, connection: Connection, data: str | bytes) -> None:
        session = connection.session
        events = session.receive(data, now=clock.now(), id=clock.new_id())
        connection.flush()
        for event in events:
            if not connection.transport.is_open:
                return
            await self._act(connection, event)
        await connection.effects.wait_room()

    async def _act(self, connection: Connection, event: Event) -> None:
        if isinstance(event, PeerFailed):
            self._live.hub.metrics.refused_frames.labels(event.code).inc()
            log.info(
                "peer_failed", agent=connection.did, code=event.code, close_code=event.close_code
            )
            return
        envelope = event.envelope
        try:
            if isinstance(event, RegisterReceived):
                await enrolment.register(self._live, connection, envelope, event.payload)
            elif not connection.within_rate(envelope.id):
                self._live.hub.metrics.refused_frames.labels(RateLimitedError.code).inc()
            elif isinstance(event, ControlReceived):
                await router.take_control(self._live, connection, envelope, event.payload)
            elif isinstance(event, DocumentReceived):
                await router.take_document(self._live, connection, envelope)
        except Error as error:
            self._live.hub.metrics.refused_frames.labels(error.code).inc()
            self._refuse(connection, error, envelope)

    def _refuse(self, connection: Connection, error: Error, envelope: Envelope) -> None:
        if connection.session.state is SessionState.REGISTERING:
            log.info("registration_failed", code=error.code, address=connection.address)
            if error.retryable:
                # Our trouble, not the agent's: it has not failed to prove anything.
                connection.close(CloseCode.DRAINING, error.code)
            else:
                connection.turn_away(envelope.id)
        else:
            connection.refuse(error, in_reply_to=envelope.id)

    async def _leave(self, connection: Connection) -> None:
        enrolment.count_registered(self._live, connection)
        self._live.registry.remove(connection)
        self._live.dispatcher.detach(connection)
        connection.end()
        try:
            await enrolment.note_offline(self._live, connection)
        finally:
            if connection.transport.is_open:
                connection.transport.abort()


def _register_deadline(connection: Connection) -> None:
    connection.register_timer = None
    if connection.unregistered:
        connection.close(CloseCode.DEADLINE, "no registration in time")


def _base_url(scope: Scope) -> str:
    """Return the HTTP address the agent itself used; it is told to nobody else."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    return f"{scheme}://{host.decode('latin-1')}"


def _is_foreign_page(scope: Scope, settings: HubSettings) -> bool:
    """Whether a browser says that a page of another site opens this socket; agents say nothing."""
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    scheme = "https" if scope.get("scheme") in ("wss", "https") else "http"
    origin = headers.get("origin")
    return origin is not None and origin.lower() != own_origin(settings.public_url, scheme, headers)


async def _deny(
    status: int,
    why: str,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Mapping[str, str] | None = None,
) -> None:
    await PlainTextResponse(f"{why}\n", status, headers)(scope, receive, send)
