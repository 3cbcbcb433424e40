"""One agent's live connection: its session, its transport, its bounds and its gathered acks.

Writes never wait: frames go into the transport's buffer, which is bounded here, and a reader who
does not drain it is dropped. Knows the session machine and the seam to the socket; what frames
mean is the handlers' concern, what is owed to the agent the dispatcher's.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from pydantic import BaseModel

from controlplane import clock
from controlplane.hub.admission import TokenBucket
from controlplane.hub.effects import EffectQueue
from controlplane.hub.transport import Transport
from controlplane.settings import HubSettings
from protocol.errors import Error, RateLimitedError, SessionStateError
from protocol.limits import CloseCode
from protocol.messages.enrolment import Register
from protocol.messages.intents import ResultAck, ResultAckItem
from protocol.session import HubSession, SessionState
from storage.database import Database
from storage.errors import FencedError
from storage.records import IntentRecord
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

MAX_RESULT_ACKS = 64
"""Results acknowledged by one frame at most."""
PROOFS_BURST = 20
"""Proofs of the record that an agent may ask for at once; one a second later."""
REFUSED_FRAMES_BURST = 100
"""Frames over the rate that are answered by `error` before the connection is closed."""


@dataclass(slots=True)
class Lane:
    """What the dispatcher remembers about one connection.

    Attributes:
        unacked: document ids sent and not acknowledged, with the monotonic second of sending.
        handed: orders that are on disk as dispatched and wait for room, with their bytes.
        sent: the newest orders that were handed over and not heard of since, as they were sent.
        wanted: whether the outbox should be looked at again.
        starved: whether rows wait that the window had no room for.
        task: the look that is going on.
    """

    unacked: dict[str, float] = field(default_factory=dict)
    handed: deque[tuple[IntentRecord, bytes]] = field(default_factory=deque)
    sent: dict[str, IntentRecord] = field(default_factory=dict)
    wanted: bool = False
    starved: bool = False
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class ProgressRoom:
    """How much one order has reported.

    Attributes:
        before: characters on disk when it first reported on this connection; None until read.
        here: bytes since.
    """

    before: int | None = None
    here: int = 0


class Connection:
    """One socket and the conversation on it; made when it is accepted, gone when it is closed."""

    __slots__ = (
        "__weakref__",
        "_ack_timer",
        "_result_acks",
        "address",
        "base_url",
        "bucket",
        "database",
        "did",
        "effects",
        "heard_at",
        "is_guarded",
        "lane",
        "name",
        "penalty",
        "progress",
        "proofs",
        "realms",
        "register_payload",
        "register_timer",
        "registration_id",
        "session",
        "settings",
        "stalled_since",
        "transport",
        "unregistered",
        "was_online",
    )

    def __init__(
        self,
        *,
        session: HubSession,
        transport: Transport,
        address: str,
        base_url: str,
        database: Database,
        settings: HubSettings,
    ) -> None:
        now = time.monotonic()
        self.session = session
        self.transport = transport
        self.address = address
        self.base_url = base_url
        self.settings = settings
        self.database = database
        self.is_guarded = False
        self.effects = EffectQueue(database, _superseder(self))
        self.bucket = TokenBucket(settings.frames_per_second, settings.frames_burst, now)
        self.penalty = TokenBucket(1, REFUSED_FRAMES_BURST, now)
        self.proofs = TokenBucket(1, PROOFS_BURST, now)
        self.lane = Lane()
        self.progress: dict[str, ProgressRoom] = {}
        self.did: str | None = None
        self.name = ""
        self.realms: tuple[str, ...] = ()
        self.registration_id: str | None = None
        self.register_payload: Register | None = None
        self.unregistered = True
        self.was_online = False
        self.heard_at = now
        self.stalled_since: float | None = None
        self.register_timer: asyncio.TimerHandle | None = None
        self._result_acks: list[ResultAckItem] = []
        self._ack_timer: asyncio.TimerHandle | None = None

    @property
    def is_online(self) -> bool:
        """Whether the agent is registered and frames can reach it."""
        return self.session.state is SessionState.ONLINE and self.transport.is_open

    @property
    def is_pending(self) -> bool:
        """Whether it waits, connected, for an admin's decision."""
        return self.session.state is SessionState.PENDING and self.transport.is_open

    @property
    def agent_did(self) -> str:
        """The key that proved itself here; only asked for after `register`."""
        if self.did is None:
            raise SessionStateError("no key has proved itself on this connection")
        return self.did

    @property
    def realm(self) -> str | None:
        """The realm whose members see what happens to this agent."""
        return self.realms[0] if self.realms else None

    def send(self, payload: BaseModel) -> None:
        """Seal and send a control frame; nothing happens on a connection that is closing."""
        if not self.transport.is_open:
            return
        try:
            self.session.send(payload, now=clock.now(), id=clock.new_id())
        except SessionStateError:
            return
        self.flush()

    def send_document(self, wire: bytes) -> None:
        """Send a document's exact bytes."""
        if self.transport.is_open:
            self.session.send_document(wire)
            self.flush()

    def refuse(self, error: Error, *, in_reply_to: str | None) -> None:
        """Answer a frame by `error`; the connection stays."""
        if not self.transport.is_open:
            return
        try:
            self.session.send_error(
                error, in_reply_to=in_reply_to, now=clock.now(), id=clock.new_id()
            )
        except SessionStateError:
            return
        self.flush()

    def turn_away(self, in_reply_to: str | None) -> None:
        """Give a stranger the one generic answer and close 4401, whatever went wrong."""
        if self.transport.is_open and self.session.state is SessionState.REGISTERING:
            self.session.fail_authentication(
                in_reply_to=in_reply_to, now=clock.now(), id=clock.new_id()
            )
            self.flush()

    def fail(self, error: Error, code: int, *, in_reply_to: str | None = None) -> None:
        """Say `error`, then close with `code`."""
        self.refuse(error, in_reply_to=in_reply_to)
        self.close(code, error.code)

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued; later sends do nothing."""
        if self.transport.is_open:
            self.session.close(code, reason)
            self.flush()
            self.transport.start_close(code, reason)

    def guard(self, guard: Callable[[UnitOfWork], None]) -> None:
        """Begin every later write that is made for this connection with `guard`."""
        self.database = self.database.guarded(guard)
        self.is_guarded = True
        self.effects.use(self.database)

    def superseded(self, *, replaced: bool) -> None:
        """Close at once: the agent is another connection's, or was taken to have gone."""
        if replaced:
            self.close(CloseCode.KEY_CONFLICT, "replaced by a newer connection")
        else:
            self.close(CloseCode.DRAINING, "taken to have gone; come back")

    def flush(self) -> None:
        """Hand what the session has queued to the transport, within its bound."""
        for frame in self.session.data_to_send():
            self.transport.send_text(frame)
        if self.session.close_code is not None:
            self.transport.start_close(self.session.close_code, self.session.close_reason)
        elif self.transport.buffered_bytes > self.settings.max_send_queue_bytes:
            self.drop_slow_reader()

    def drop_slow_reader(self) -> None:
        """Close 4429: the peer does not take what it is sent."""
        log.info("slow_reader", agent=self.did, buffered_bytes=self.transport.buffered_bytes)
        self.session.close(CloseCode.RATE, "slow reader")
        self.transport.start_close(CloseCode.RATE, "slow reader")

    def within_rate(self, in_reply_to: str | None) -> bool:
        """Whether one more frame may take effect; answers, and in the end closes, when not."""
        now = time.monotonic()
        if self.bucket.take(now):
            return True
        error = RateLimitedError("too many frames")
        if self.penalty.take(now):
            self.refuse(error, in_reply_to=in_reply_to)
        else:
            self.fail(error, CloseCode.RATE, in_reply_to=in_reply_to)
        return False

    def ack_result(self, intent_id: str, result_id: str) -> None:
        """Acknowledge a durable result within the gathering time, together with its neighbours."""
        self._result_acks.append(ResultAckItem(intent_id=intent_id, result_id=result_id))
        if len(self._result_acks) >= MAX_RESULT_ACKS:
            self._send_result_acks()
        elif self._ack_timer is None:
            self._ack_timer = asyncio.get_running_loop().call_later(
                self.settings.result_ack_gather_seconds, self._send_result_acks
            )

    def _send_result_acks(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if self._result_acks:
            acks, self._result_acks = self._result_acks, []
            self.send(ResultAck(results=tuple(acks)))

    def end(self) -> None:
        """Let go of every timer; the last thing done to a connection."""
        for timer in (self._ack_timer, self.register_timer):
            if timer is not None:
                timer.cancel()
        self._ack_timer = self.register_timer = None
        self._result_acks.clear()
        self.transport.set_writable_callback(None)


def _superseder(connection: Connection) -> Callable[[FencedError], None]:
    """Return what tells a connection that it is not its agent's any more, without holding it."""
    known = weakref.ref(connection)

    def supersede(lost: FencedError) -> None:
        if (one := known()) is not None:
            one.superseded(replaced=lost.replaced)

    return supersede
