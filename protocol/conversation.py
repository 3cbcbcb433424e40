"""What both ends of a connection share: rows 1 to 10 of SPEC section 3, sequences, the queue.

Sans-IO: frames go in with `receive`, events come out; frames to send wait in a queue until
`data_to_send` drains it. Nothing here waits, retries or reads a clock. `hub_session` and
`agent_session` add the handshake of their side; what a frame asks for (row 12), its rate (row 11)
and the proof of documents (rows 5 to 12) are their owners' business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar, Final

from pydantic import BaseModel

from protocol import limits
from protocol.envelope import EVERYONE, Envelope, parse_envelope, seal_control
from protocol.errors import (
    AuthFailedError,
    BadEnvelopeError,
    BadJsonError,
    DecodeError,
    Error,
    ForbiddenTypeError,
    FrameTooLargeError,
    SessionStateError,
    VerificationError,
    WrongAudienceError,
)
from protocol.ids import parse_id
from protocol.keys import PublicKey, Signer
from protocol.limits import CloseCode
from protocol.messages.registry import MESSAGES, dump_payload, parse_payload, type_of
from protocol.messages.session import ErrorMessage
from protocol.replay import check_sequence
from protocol.session_events import (
    DocumentReceived,
    Event,
    FrameRefused,
    PeerFailed,
    SessionState,
)
from protocol.strict_json import parse_strict_json
from protocol.verification import (
    Side,
    check_audience,
    check_control_freshness,
    check_document_freshness,
    check_peer_key,
    check_type,
    verify_signature,
)

_MAX_MESSAGE_CHARS: Final = 500


class Conversation(ABC):
    """One end of one connection. Not thread-safe; dead after `close_code` is set."""

    peer_side: ClassVar[Side]
    """Which side the other end is."""
    opening_type: ClassVar[str]
    """The type that introduces the other end; a second one ends the connection."""

    def __init__(self, *, key: Signer, clock_skew_seconds: int) -> None:
        self._key = key
        self._own_did = key.public_key.did
        self._clock_skew_seconds = clock_skew_seconds
        self._state = SessionState.CONNECTING
        self._peer: PublicKey | None = None
        self._session_id: str | None = None
        self._next_out = 1
        self._next_in = 1
        self._queue: list[bytes] = []
        self._close_code: int | None = None
        self._close_reason = ""

    @property
    def state(self) -> SessionState:
        """How far the connection has come."""
        return self._state

    @property
    def peer(self) -> PublicKey | None:
        """The key that proved itself on this socket, once one has."""
        return self._peer

    @property
    def session_id(self) -> str | None:
        """The connection's id from `hello`."""
        return self._session_id

    @property
    def close_code(self) -> int | None:
        """The code to close with once the queue is sent; None while the connection lives."""
        return self._close_code

    @property
    def close_reason(self) -> str:
        """Text for the close frame; at most 120 ASCII characters, possibly empty."""
        return self._close_reason

    def receive(self, data: str | bytes, *, now: datetime, id: str) -> list[Event]:
        """Take one WebSocket message and return what it means; never raises for what is in it.

        Args:
            data: `str` for a text frame, `bytes` for a binary one (which closes 1003).
            now: the receiver's clock, aware.
            id: a fresh UUIDv7 for the one answer this may have to queue.
        """
        if self._close_code is not None:
            return []
        if not isinstance(data, str):
            return [self._drop(CloseCode.UNSUPPORTED_DATA, "not_text")]
        try:
            size_bytes = len(data) if data.isascii() else len(data.encode())
        except UnicodeError:
            return [self._drop(CloseCode.NOT_UTF8, "not_utf8")]
        if size_bytes > self._max_receive_bytes():
            return [self._drop(CloseCode.TOO_BIG, "frame_too_large")]
        try:
            envelope = parse_envelope(data, max_bytes=self._max_receive_bytes())
        except DecodeError as exc:
            reply_to = None if isinstance(exc, BadJsonError) else _readable_id(data)
            return [self._end(exc, reply_to=reply_to, now=now, id=id)]
        if self._is_too_large(envelope, size_bytes):
            return [self._drop(CloseCode.TOO_BIG, "frame_too_large")]
        if envelope.is_document:
            return self._receive_document(envelope, now=now, id=id)
        return self._receive_frame(envelope, now=now, id=id)

    def send(self, payload: BaseModel, *, now: datetime, id: str) -> str:
        """Seal a control frame with the next sequence number, queue it and return its id.

        Raises:
            SessionStateError: this side may not send it in this state.
            FrameTooLargeError: more bytes than the peer takes; no number is used up.
        """
        name = type_of(payload)
        self._check_may_send(name)
        self._seal(name, payload, now=now, id=id)
        self._sent(payload)
        return id

    def send_document(self, wire: bytes) -> None:
        """Queue a document as it is; its exact bytes go out.

        Raises:
            SessionStateError: the connection is not online.
            FrameTooLargeError: more bytes than the peer takes.
        """
        if self._state is not SessionState.ONLINE:
            raise SessionStateError("documents travel only when the agent is online")
        if len(wire) > self._max_send_bytes():
            raise FrameTooLargeError("the peer takes no frame of this size")
        self._queue.append(wire)

    def send_error(self, error: Error, *, in_reply_to: str | None, now: datetime, id: str) -> None:
        """Queue an `error` with the code and message of `error`.

        Raises:
            SessionStateError: this side may not send it in this state.
        """
        self._check_may_send("error")
        self._seal_error(error, in_reply_to=in_reply_to, now=now, id=id)

    def close(self, code: int, reason: str = "") -> None:
        """Close with `code` once the queue is sent. The first call decides."""
        if self._close_code is None:
            self._close_code = code
            self._close_reason = reason.encode("ascii", "replace").decode()[:120]
            self._state = SessionState.CLOSED

    def data_to_send(self) -> list[bytes]:
        """Return the queued frames in order, each to be sent as one text frame, and forget them."""
        frames, self._queue = self._queue, []
        return frames

    # --- what the sides differ in ------------------------------------------------------------

    @abstractmethod
    def _may_send(self, name: str) -> bool:
        """Whether this side may send this type now (it is from this side, and not closed)."""

    @abstractmethod
    def _may_receive(self, name: str) -> bool:
        """Whether the peer may send this type now (it is the peer's to send)."""

    @abstractmethod
    def _check_handshake_key(self, envelope: Envelope) -> None:
        """Row 4 while no peer is known; raise where this frame cannot introduce one."""

    @abstractmethod
    def _receive_control(
        self, envelope: Envelope, payload: BaseModel, *, now: datetime
    ) -> list[Event]:
        """Rows 1 to 10 hold: move the state, and say what happened."""

    @abstractmethod
    def _sent(self, payload: BaseModel) -> None:
        """`payload` is queued: move the state."""

    def _max_receive_bytes(self) -> int:
        online = self._state is SessionState.ONLINE
        return limits.MAX_FRAME_BYTES if online else limits.MAX_FRAME_BYTES_BEFORE_REGISTRATION

    def _max_send_bytes(self) -> int:
        return limits.MAX_FRAME_BYTES

    def _is_too_large(self, envelope: Envelope, size_bytes: int) -> bool:
        """Whether a frame inside the byte limit is still too large for its type."""
        return False

    def _accepts_everyone(self, name: str) -> bool:
        """Whether the peer may address a frame of this type to `*` now."""
        return name == "error" and self._peer is None

    # --- rows --------------------------------------------------------------------------------

    def _check_control(self, envelope: Envelope, now: datetime) -> None:
        """Rows 4 to 8."""
        if self._peer is None:
            self._check_handshake_key(envelope)
        check_peer_key(envelope, self._peer)
        verify_signature(envelope)
        check_audience(envelope, self._own_did)
        if envelope.audience == EVERYONE and not self._accepts_everyone(envelope.type):
            raise WrongAudienceError("this end is known by its DID")
        check_control_freshness(envelope, now, clock_skew_seconds=self._clock_skew_seconds)
        session = self._session_id or envelope.session or ""
        check_sequence(envelope, session=session, next_sequence=self._next_in)

    def _allow(self, envelope: Envelope) -> BaseModel:
        """Rows 9 and 10."""
        check_type(envelope, self.peer_side)
        if not self._may_receive(envelope.type):
            raise ForbiddenTypeError(f"{envelope.type} is not allowed now")
        return parse_payload(envelope.type, envelope.payload)

    def _receive_document(self, envelope: Envelope, *, now: datetime, id: str) -> list[Event]:
        if self._state is SessionState.ONLINE:
            return [DocumentReceived(envelope)]
        if not self._is_introduced():
            error = ForbiddenTypeError("a document before registration")
            return [self._end(error, answering=envelope, now=now, id=id)]
        try:
            # Rows 5 to 8 come before row 9, also where the end is clear.
            verify_signature(envelope)
            check_audience(envelope, self._own_did)
            check_document_freshness(envelope, now)
            check_type(envelope, self.peer_side)
            raise ForbiddenTypeError("documents travel only when the agent is online")
        except VerificationError as exc:
            return [self._refuse(envelope, exc, now=now, id=id)]

    def _receive_frame(self, envelope: Envelope, *, now: datetime, id: str) -> list[Event]:
        try:
            self._check_control(envelope, now)
        except Error as exc:
            return [self._end(exc, answering=envelope, now=now, id=id)]
        self._next_in += 1
        try:
            return self._receive_control(envelope, self._allow(envelope), now=now)
        except Error as exc:
            if self._must_end(envelope):
                return [self._end(exc, answering=envelope, now=now, id=id)]
            return [self._refuse(envelope, exc, now=now, id=id)]

    # --- answers -----------------------------------------------------------------------------

    def _is_introduced(self) -> bool:
        """Whether registration has got so far that failures are answered precisely."""
        return self._state in (SessionState.PENDING, SessionState.ONLINE)

    def _must_end(self, envelope: Envelope) -> bool:
        """Whether a frame that fails rows 9 or 10 ends the connection all the same."""
        return not self._is_introduced() or envelope.type == self.opening_type

    def _end(
        self,
        error: Error,
        *,
        answering: Envelope | None = None,
        reply_to: str | None = None,
        now: datetime,
        id: str,
    ) -> PeerFailed:
        """Answer with an `error` where one can be sealed, and close."""
        code = CloseCode.PROTOCOL_ERROR
        told: Error = error
        if not self._is_introduced():
            code = CloseCode.AUTHENTICATION_FAILED
            told = AuthFailedError("authentication failed")
        if answering is not None:
            reply_to = answering.id
            if self._session_id is None:
                # A `hello` that is not believed still names the connection its refusal belongs to.
                self._session_id = answering.session
        if self._session_id is not None:
            self._seal_error(told, in_reply_to=reply_to, now=now, id=id)
        self.close(code, told.code)
        return PeerFailed(error.code, code, error.message)

    def _drop(self, close_code: int, code: str) -> PeerFailed:
        """Row 1: close without an `error` frame."""
        self.close(close_code, code)
        return PeerFailed(code, close_code)

    def _refuse(self, envelope: Envelope, error: Error, *, now: datetime, id: str) -> FrameRefused:
        # An error about an error would be answered by an error, for ever.
        if envelope.type != "error":
            self._seal_error(error, in_reply_to=envelope.id, now=now, id=id)
        return FrameRefused(envelope, error.code, error.message)

    def _seal_error(self, error: Error, *, in_reply_to: str | None, now: datetime, id: str) -> None:
        payload = ErrorMessage(
            code=error.code, message=error.message[:_MAX_MESSAGE_CHARS], in_reply_to=in_reply_to
        )
        self._seal("error", payload, now=now, id=id)

    def _check_may_send(self, name: str) -> None:
        kind = MESSAGES[name]
        ours = kind.from_agent if self.peer_side is Side.HUB else kind.from_hub
        if (
            kind.kind != "control"
            or not ours
            or self._close_code is not None
            or not self._may_send(name)
        ):
            raise SessionStateError(f"{name} cannot be sent while {self._state.value}")

    def _seal(self, name: str, payload: BaseModel, *, now: datetime, id: str) -> None:
        if self._session_id is None:
            raise SessionStateError("no session yet")
        frame = seal_control(
            type=name,
            id=id,
            timestamp=now,
            audience=EVERYONE if self._peer is None else self._peer.did,
            session=self._session_id,
            sequence=self._next_out,
            payload=dump_payload(payload),
            signer=self._key,
        )
        if len(frame.wire) > self._max_send_bytes():
            raise FrameTooLargeError("the peer takes no frame of this size")
        self._next_out += 1
        self._queue.append(frame.wire)


def _readable_id(text: str) -> str | None:
    """Return the id of a JSON object that is no envelope, where it has a good one."""
    try:
        value = parse_strict_json(text)
        return parse_id(value.get("id")) if isinstance(value, dict) else None
    except (BadJsonError, BadEnvelopeError):
        return None
