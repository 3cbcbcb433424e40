"""The seam to the WebSocket server: what a live connection needs and ASGI does not offer.

ASGI has no ping, no abort and no look at the write buffer; without them a hub can neither ask
whether an old connection still lives nor get rid of a reader who never reads. `AgentProtocol` is
uvicorn's sans-IO WebSocket protocol with these, handed to the application in the ASGI scope.
Another server can take its place by offering the same `Transport`. Knows no envelope.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

from protocol.limits import CloseCode

SCOPE_KEY = "writ.transport"
"""Where the ASGI scope's `extensions` carries the `Transport`."""
ABORT_AFTER_SECONDS = 5.0
"""How long a peer may take to answer a close before the connection is torn down."""
MAX_FRAGMENTS = 1_024
"""Pieces of one message; a longer tail of tiny pieces is a flood."""


class Transport(Protocol):
    """One WebSocket, written without waiting and watched while it drains."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes written that the peer has not taken yet."""

    @property
    def has_room(self) -> bool:
        """Whether the write buffer is below its high-water mark."""

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""

    def send_text(self, frame: bytes) -> None:
        """Write one text frame (UTF-8); nothing happens on a closed socket."""

    def start_close(self, code: int, reason: str) -> None:
        """Write the close frame; the socket is torn down when the peer answers, or soon after."""

    def abort(self) -> None:
        """Tear the socket down now, dropping what is buffered."""

    def limit_frames(self, max_bytes: int) -> None:
        """Refuse longer messages from now on (close 1009)."""

    def set_writable_callback(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` whenever the write buffer has drained below its low-water mark."""

    async def probe(self, timeout_seconds: float) -> bool:
        """Whether the peer answers a ping sent now within `timeout_seconds`."""


class AgentProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol that can also ping, abort and say how much it has buffered."""

    _probes: dict[bytes, asyncio.Future[None]] | None = None
    _on_writable: Callable[[], None] | None = None
    _abort_timer: asyncio.TimerHandle | None = None

    # --- Transport -------------------------------------------------------------------------

    @property
    def buffered_bytes(self) -> int:
        """Bytes in the operating system's reach but not yet taken by it."""
        return self.transport.get_write_buffer_size()

    @property
    def has_room(self) -> bool:
        """Whether asyncio has not asked to pause writing."""
        return self.writable.is_set()

    @property
    def is_open(self) -> bool:
        """Whether neither end has begun to close."""
        return (
            self.handshake_complete
            and not self.close_sent
            and not self.disconnected
            and not self.transport.is_closing()
        )

    def send_text(self, frame: bytes) -> None:
        """Write one text frame."""
        if not self.is_open:
            return
        try:
            self.conn.send_text(frame)
        except InvalidState:
            return
        self.transport.write(b"".join(self.conn.data_to_send()))

    def start_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake and bound its time."""
        if not self.is_open:
            return
        self.stop_keepalive()
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(ABORT_AFTER_SECONDS, self.abort)

    def abort(self) -> None:
        """Drop the connection and whatever it still had to say."""
        if self.transport is not None and not self.disconnected:
            self.transport.abort()

    def limit_frames(self, max_bytes: int) -> None:
        """Set the largest message accepted from here on."""
        self.conn.max_message_size = max_bytes

    def set_writable_callback(self, callback: Callable[[], None] | None) -> None:
        """Remember whom to call when the buffer has drained."""
        self._on_writable = callback

    async def probe(self, timeout_seconds: float) -> bool:
        """Ping the peer and wait for exactly this ping's answer."""
        if not self.is_open:
            return False
        payload = os.urandom(8)
        answered: asyncio.Future[None] = self.loop.create_future()
        if self._probes is None:
            self._probes = {}
        self._probes[payload] = answered
        try:
            self.conn.send_ping(payload)
            self.transport.write(b"".join(self.conn.data_to_send()))
            async with asyncio.timeout(timeout_seconds):
                await answered
            return True
        except (InvalidState, TimeoutError, ConnectionError):
            return False
        finally:
            self._probes.pop(payload, None)

    # --- uvicorn's hooks -------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        """Put this transport where the endpoint finds it."""
        super().handle_connect(event)
        scope = cast("dict[str, Any] | None", getattr(self, "scope", None))
        if scope is not None:
            scope["extensions"][SCOPE_KEY] = self

    def handle_cont(self, event: Frame) -> None:
        """Take one more piece of a message, unless they come in endless crumbs."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.start_close(CloseCode.TOO_BIG, "too many fragments")
            self.frames = []
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless the peer pings without ever reading the answers."""
        if self.buffered_bytes > self.config.ws_max_size:
            self.abort()
            return
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Resolve the probe this pong answers, or let the keepalive have it."""
        probe = self._probes.get(bytes(event.data)) if self._probes else None
        if probe is None:
            super().handle_pong(event)
        elif not probe.done():
            probe.set_result(None)

    def keepalive_timeout(self) -> None:
        """Close a peer that left a ping unanswered: by the protocol's own code, and bounded."""
        self.pong_timer = None
        self.pending_ping_payload = None
        self.start_close(CloseCode.DEADLINE, "no answer to ping")

    def resume_writing(self) -> None:
        """Tell whoever waits that there is room again."""
        super().resume_writing()
        if self._on_writable is not None:
            self._on_writable()

    def shutdown(self) -> None:
        """Close at the server's end, without waiting for a peer who does not read."""
        super().shutdown()
        if not self.disconnected and self._abort_timer is None:
            self._abort_timer = self.loop.call_later(ABORT_AFTER_SECONDS, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let every waiting probe fail and every timer go."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
            self._abort_timer = None
        self._on_writable = None
        scope = cast("dict[str, Any] | None", getattr(self, "scope", None))
        if scope is not None:  # which this transport holds, and which holds it
            scope["extensions"].pop(SCOPE_KEY, None)
        for probe in (self._probes or {}).values():
            if not probe.done():
                probe.set_exception(ConnectionResetError())
        super().connection_lost(exc)
