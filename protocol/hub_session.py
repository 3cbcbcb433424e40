"""The hub's end of one connection: says `hello`, takes one `register`, then lets in or turns away.

Sans-IO and ignorant of agents: who is enrolled, revoked or connected twice is the owner's to know.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from pydantic import BaseModel

from protocol import limits
from protocol.base64_text import encode_base64
from protocol.conversation import Conversation
from protocol.envelope import Envelope
from protocol.errors import AuthFailedError, SessionStateError
from protocol.ids import parse_id
from protocol.keys import Signer
from protocol.limits import CloseCode
from protocol.messages import (
    ErrorMessage,
    Hello,
    HelloLimits,
    Register,
    RegisterAck,
    RegistrationPending,
    RegistrationRejected,
)
from protocol.session_events import (
    ControlReceived,
    Event,
    PeerFailed,
    RegisterReceived,
    SessionState,
)
from protocol.verification import Side

_WHILE_DECIDING: Final = frozenset(
    {"registration_pending", "registration_rejected", "register_ack", "error", "drain"}
)
_WHILE_PENDING: Final = frozenset(
    {"registration_rejected", "register_ack", "pong", "error", "drain"}
)
_HANDSHAKE: Final = frozenset(
    {"hello", "registration_pending", "registration_rejected", "register_ack"}
)


class HubSession(Conversation):
    """The hub's end. The key that signs `register` is the key of the socket for good."""

    peer_side: ClassVar[Side] = Side.AGENT
    opening_type: ClassVar[str] = "register"

    def __init__(
        self,
        *,
        session_id: str,
        challenge: bytes,
        hub_key: Signer,
        root_did: str,
        hub_delegation: Envelope,
        hello_limits: HelloLimits,
        root_rotations: Sequence[Envelope] = (),
        clock_skew_seconds: int = limits.DEFAULT_CLOCK_SKEW_SECONDS,
    ) -> None:
        """Prepare an end; nothing is queued before `start`.

        Args:
            session_id: a fresh UUIDv7.
            challenge: 32 fresh random bytes.
            hub_key: signs every control frame.
            root_did: the root that `hub_delegation` comes from.
            hub_delegation: the root's `delegation` to the hub with the action `writ.route`.
            hello_limits: told to the agent, and held against it.
            root_rotations: `key_rotation` documents from earlier roots to this one, oldest first.
            clock_skew_seconds: how far the peer's timestamps may be off this clock.
        """
        if len(challenge) != limits.CHALLENGE_BYTES:
            raise ValueError("a challenge has 32 bytes")
        super().__init__(key=hub_key, clock_skew_seconds=clock_skew_seconds)
        self._session_id = parse_id(session_id)
        self._challenge = encode_base64(challenge)
        self._limits = hello_limits
        self._hello = Hello(
            challenge=self._challenge,
            root=root_did,
            delegation=hub_delegation.as_value(),
            limits=hello_limits,
            versions=("v1",),
            root_rotations=tuple(one.as_value() for one in root_rotations) or None,
        )

    def start(self, *, now: datetime, id: str) -> None:
        """Queue `hello`; `register` is due within 5 s, which the owner measures.

        Raises:
            SessionStateError: it was started before.
        """
        if self._state is not SessionState.CONNECTING:
            raise SessionStateError("started twice")
        self._seal("hello", self._hello, now=now, id=id)
        self._state = SessionState.REGISTERING

    def receive(self, data: str | bytes, *, now: datetime, id: str) -> list[Event]:
        """Take one WebSocket message; see `Conversation.receive`."""
        if self._state is SessionState.CONNECTING:
            raise SessionStateError("not started")
        return super().receive(data, now=now, id=id)

    def fail_authentication(self, *, in_reply_to: str | None, now: datetime, id: str) -> None:
        """Turn a peer away before registration: the one generic `error`, then close 4401.

        Raises:
            SessionStateError: not `REGISTERING`; later failures have codes of their own.
        """
        error = AuthFailedError("authentication failed")
        if self._state is not SessionState.REGISTERING:
            raise SessionStateError("registration is over")
        self.send_error(error, in_reply_to=in_reply_to, now=now, id=id)
        self.close(CloseCode.AUTHENTICATION_FAILED, error.code)

    def _max_receive_bytes(self) -> int:
        if self._state is SessionState.ONLINE:
            return self._limits.max_frame_bytes
        return self._limits.max_frame_bytes_before_registration

    def _may_send(self, name: str) -> bool:
        if self._state is SessionState.ONLINE:
            return name not in _HANDSHAKE
        if self._state is SessionState.PENDING:
            return name in _WHILE_PENDING
        if self._state is SessionState.REGISTERING:
            # To a peer whose key is not known only an `error` may be said.
            return name == "error" if self._peer is None else name in _WHILE_DECIDING
        return False

    def _may_receive(self, name: str) -> bool:
        if self._state is SessionState.ONLINE:
            return name != "register"
        if self._state is SessionState.PENDING:
            return name in ("heartbeat", "error")
        return name == "error" or (name == "register" and self._peer is None)

    def _check_handshake_key(self, envelope: Envelope) -> None:
        # Whoever signs `register` proves a key by it; an `error` proves nothing, and ends it.
        if envelope.type not in ("register", "error"):
            raise AuthFailedError(f"{envelope.type} before register")

    def _receive_control(
        self, envelope: Envelope, payload: BaseModel, *, now: datetime
    ) -> list[Event]:
        if isinstance(payload, Register):
            if not hmac.compare_digest(payload.challenge, self._challenge):
                raise AuthFailedError("another challenge")
            self._peer = envelope.public_key
            return [RegisterReceived(envelope, payload)]
        if isinstance(payload, ErrorMessage) and self._peer is None:
            self.close(CloseCode.AUTHENTICATION_FAILED)
            return [PeerFailed(payload.code, CloseCode.AUTHENTICATION_FAILED, "the agent refused")]
        return [ControlReceived(envelope, payload)]

    def _sent(self, payload: BaseModel) -> None:
        if isinstance(payload, RegistrationPending):
            self._state = SessionState.PENDING
        elif isinstance(payload, RegisterAck):
            self._state = SessionState.ONLINE
        elif isinstance(payload, RegistrationRejected):
            self.close(CloseCode.REFUSED, "rejected")
