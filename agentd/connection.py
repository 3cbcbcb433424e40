"""One attempt at being connected: socket, handshake, pump, heartbeat, watchdog; then it is over.

Owns the socket and the session machine. Must not know what frames mean beyond the handshake: an
`Owner` does. Never retries: that is the supervisor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from agentd.clock import Clock, new_id
from agentd.log import log
from agentd.outlet import MAX_BACKLOG_FRAMES
from agentd.pace import Pace
from agentd.settings import AgentSettings, is_loopback
from protocol import limits
from protocol.envelope import Envelope
from protocol.errors import Error
from protocol.keys import PublicKey
from protocol.limits import CloseCode
from protocol.messages import (
    Drain,
    Heartbeat,
    Register,
    RegisterAck,
    RegistrationPending,
    RegistrationRejected,
)
from protocol.session import (
    AgentSession,
    ControlReceived,
    DocumentReceived,
    Event,
    FrameRefused,
    HelloAccepted,
    PeerFailed,
    SessionState,
)

_CLOSE_SECONDS: Final = 2.0


class End(Enum):
    """How an attempt ended, as far as it matters for the next one."""

    LOST = "lost"
    """No connection, or an ordinary end: try again soon."""
    REFUSED = "refused"
    """The hub does not believe us, or we do not believe it: try again, with growing delay."""
    REJECTED = "rejected"
    """An admin said no, or the key is revoked: ask again rarely."""
    DRAINED = "drained"
    """The hub goes down for a while, or is busy letting others in: not before it said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to."""

    end: End
    reason: str
    greeted: bool
    """Whether the hub took us in, as pending or online: the delays start from the beginning."""
    retry_after_seconds: float = 0.0


class Owner(Protocol):
    """What a connection asks of the agent."""

    def new_session(self) -> AgentSession:
        """Return a session machine with the key and the pin in force."""

    async def on_hello(self, event: HelloAccepted) -> Register:
        """Remember the session on disk, and return the registration."""

    def on_pending(self, connection: Connection, payload: RegistrationPending) -> None:
        """An admin must decide."""

    async def on_online(self, connection: Connection, payload: RegisterAck) -> None:
        """Registered; frames may go out from now on."""

    async def on_control(self, envelope: Envelope, payload: BaseModel) -> None:
        """A control frame came."""

    async def on_document(self, envelope: Envelope) -> None:
        """A document came; nothing in it is proved."""

    def on_offline(self) -> None:
        """The connection is over."""

    def heartbeat(self) -> Heartbeat:
        """Return a sign of life."""


class Connection:
    """One WebSocket to one hub."""

    def __init__(self, url: str, *, settings: AgentSettings, clock: Clock, owner: Owner) -> None:
        self._url = url
        self._settings = settings
        self._clock = clock
        self._owner = owner
        self._session = owner.new_session()
        self._socket: ClientConnection | None = None
        self._pace = Pace(settings.frames_per_second * 0.9, max(1, settings.frames_burst - 50))
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._backlog = 0
        self._heartbeat_seconds: float = limits.HEARTBEAT_SECONDS
        self._heard_at = time.monotonic()
        self._greeted = False
        self._online = False
        self._outcome: Outcome | None = None

    # --- for its users (agentd.outlet.Link) ---

    @property
    def hub(self) -> PublicKey:
        """The hub's key, proved on this socket."""
        assert self._session.peer is not None
        return self._session.peer

    @property
    def backlog_frames(self) -> int:
        """Frames queued and not yet handed to the socket."""
        return self._backlog

    def send(self, payload: BaseModel) -> str:
        """Queue a control frame and return its id.

        Raises:
            SessionStateError, FrameTooLargeError: it cannot go out on this connection.
        """
        frame_id = self._session.send(payload, now=self._clock.now(), id=new_id())
        self._queued()
        return frame_id

    def send_document(self, wire: bytes) -> None:
        """Queue a document's exact bytes.

        Raises:
            SessionStateError, FrameTooLargeError: it cannot go out on this connection.
        """
        self._session.send_document(wire)
        self._queued()

    def send_error(self, error: Error, in_reply_to: str | None) -> None:
        """Queue an `error`.

        Raises:
            SessionStateError: it cannot go out on this connection.
        """
        self._session.send_error(error, in_reply_to=in_reply_to, now=self._clock.now(), id=new_id())
        self._queued()

    async def wait_for_room(self) -> None:
        """Return when the backlog is short, or the connection is over."""
        await self._room.wait()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close once what is queued has been sent."""
        self._session.close(code, reason)
        self._wake.set()

    # --- one attempt ---

    async def run(self) -> Outcome:
        """Connect, serve until the end, and say how it ended. Raises nothing but cancellation."""
        from urllib.parse import urlsplit

        host = urlsplit(self._url).hostname or ""
        try:
            socket = await connect(
                self._url,
                subprotocols=[limits.SUBPROTOCOL],  # type: ignore[list-item]
                compression=None,
                max_size=limits.MAX_FRAME_BYTES,
                max_queue=64,
                open_timeout=self._settings.open_timeout_seconds,
                ping_interval=self._settings.ping_seconds,
                ping_timeout=self._settings.ping_seconds,
                close_timeout=_CLOSE_SECONDS,
                user_agent_header=None,
                proxy=None if is_loopback(host) else True,
            )
        except InvalidStatus as exc:
            seconds = _retry_after_seconds(exc)
            end = End.LOST if seconds is None else End.DRAINED
            return Outcome(end, _describe(exc), greeted=False, retry_after_seconds=seconds or 0.0)
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ValueError) as exc:
            return Outcome(End.LOST, _describe(exc), greeted=False)
        self._socket = socket
        try:
            if socket.subprotocol != limits.SUBPROTOCOL:
                return Outcome(End.REFUSED, "not a hub of this protocol", greeted=False)
            await self._serve(socket)
        finally:
            self._room.set()
            if self._online:
                self._owner.on_offline()
            with contextlib.suppress(Exception):
                await socket.close()
        return self._outcome or self._decide_outcome(socket)

    async def _serve(self, socket: ClientConnection) -> None:
        tasks = [
            asyncio.create_task(self._read(socket), name="read"),
            asyncio.create_task(self._write(socket), name="write"),
            asyncio.create_task(self._watch(), name="watch"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done and self._session.close_code is not None and not tasks[1].done():
                await asyncio.wait([tasks[1]], timeout=_CLOSE_SECONDS)
            for task in done:
                if (error := task.exception()) is not None and not isinstance(
                    error, ConnectionClosed
                ):
                    log("error", "connection_failed", error=repr(error))
                    self._outcome = Outcome(End.LOST, repr(error), self._greeted)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, socket: ClientConnection) -> None:
        async for message in socket:
            self._heard_at = time.monotonic()
            for event in self._session.receive(message, now=self._clock.now(), id=new_id()):
                await self._take(event)
            self._queued(0)
            if self._session.close_code is not None:
                return

    async def _take(self, event: Event) -> None:
        match event:
            case HelloAccepted():
                self._heartbeat_seconds = event.payload.limits.heartbeat_seconds
                self.send(await self._owner.on_hello(event))
            case ControlReceived(payload=RegistrationPending() as payload):
                self._greeted = True
                self._owner.on_pending(self, payload)
            case ControlReceived(payload=RegistrationRejected() as payload):
                self._outcome = Outcome(End.REJECTED, payload.reason, greeted=False)
            case ControlReceived(payload=RegisterAck() as payload):
                self._greeted = self._online = True
                await self._owner.on_online(self, payload)
            case ControlReceived(payload=Drain() as payload):
                seconds = float(payload.retry_after_seconds)
                self._outcome = Outcome(End.DRAINED, "the hub drains", True, seconds)
            case ControlReceived():
                await self._owner.on_control(event.envelope, event.payload)
            case DocumentReceived():
                await self._owner.on_document(event.envelope)
            case FrameRefused():
                log("warning", "frame_refused", code=event.code, detail=event.detail)
            case PeerFailed():
                log("error", "hub_failed", code=event.code, detail=event.detail)
                if not self._greeted:
                    self._outcome = Outcome(End.REFUSED, event.code, greeted=False)

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for frame in self._session.data_to_send():
                if (seconds := self._pace.take()) > 0:
                    await asyncio.sleep(seconds)
                await socket.send(frame, text=True)
                self._backlog = max(0, self._backlog - 1)
                if self._backlog < MAX_BACKLOG_FRAMES:
                    self._room.set()
            if self._session.close_code is not None and not self._wake.is_set():
                await socket.close(self._session.close_code, self._session.close_reason)
                return

    async def _watch(self) -> None:
        """Send heartbeats; end when two intervals passed without a word from the hub."""
        last_beat = time.monotonic()
        while True:
            await asyncio.sleep(min(1.0, self._heartbeat_seconds / 4))
            now = time.monotonic()
            silence = now - self._heard_at
            if silence > self._heartbeat_seconds * limits.MISSED_INTERVALS:
                self._outcome = Outcome(End.LOST, "the hub is silent", self._greeted)
                return
            # Counted from the last beat: the hub tells the interval only in `hello`.
            if now - last_beat >= self._heartbeat_seconds and self._session.state in (
                SessionState.PENDING,
                SessionState.ONLINE,
            ):
                self.send(self._owner.heartbeat())
                last_beat = now

    def _queued(self, frames: int = 1) -> None:
        self._backlog += frames
        if self._backlog >= MAX_BACKLOG_FRAMES:
            self._room.clear()
        self._wake.set()

    def _decide_outcome(self, socket: ClientConnection) -> Outcome:
        code = socket.close_code
        reason = f"closed {code} {socket.close_reason or ''}".strip()
        end = {
            CloseCode.REFUSED: End.REJECTED,
            CloseCode.AUTHENTICATION_FAILED: End.REFUSED,
        }.get(code or 0, End.LOST)
        return Outcome(end, reason, self._greeted)


def _retry_after_seconds(refusal: InvalidStatus) -> float | None:
    """Return when a busy hub (429, 503) said to come back; None when it did not, or absurdly."""
    said = refusal.response.headers.get("Retry-After", "")
    if refusal.response.status_code not in (429, 503) or not said.isdecimal() or len(said) > 2:
        return None
    return max(1.0, float(said))


def _describe(exc: Exception) -> str:
    text = str(exc).splitlines()
    return f"{type(exc).__name__}: {text[0][:200]}" if text else type(exc).__name__
