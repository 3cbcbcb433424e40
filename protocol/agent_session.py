"""The agent's end of one connection: believes one hub of its root, registers, then serves.

Sans-IO. The agent pins the root before it trusts a byte; the owner keeps the pin, the sessions
seen and the revocations, and hands them in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Final

from pydantic import BaseModel

from protocol import limits
from protocol.conversation import Conversation
from protocol.envelope import Envelope, envelope_from_value
from protocol.errors import (
    AuthFailedError,
    BadPayloadError,
    FutureError,
    ReplayError,
)
from protocol.key_rotation import verify_root_rotations
from protocol.keys import PublicKey, Signer
from protocol.messages import (
    Delegation,
    Hello,
    Register,
    RegisterAck,
    RegistrationPending,
)
from protocol.session_events import ControlReceived, Event, HelloAccepted, SessionState
from protocol.verification import Side, verify_document

ROUTE_ACTION: Final = "writ.route"
"""What the root must have let a key do before an agent takes it for a hub."""
_WHILE_DECIDING: Final = frozenset(
    {"registration_pending", "registration_rejected", "register_ack", "error", "drain"}
)
_WHILE_PENDING: Final = _WHILE_DECIDING | {"pong"}
_HANDSHAKE: Final = frozenset(
    {"hello", "registration_pending", "registration_rejected", "register_ack"}
)


class AgentSession(Conversation):
    """The agent's end. The key proved by `hello` is the hub's key of the socket for good."""

    peer_side: ClassVar[Side] = Side.HUB
    opening_type: ClassVar[str] = "hello"

    def __init__(
        self,
        *,
        agent_key: Signer,
        root: PublicKey | None,
        allow_unknown_root: bool = False,
        seen_sessions: Callable[[str], bool],
        revoked: Callable[[Envelope], bool] = lambda _delegation: False,
        clock_skew_seconds: int = limits.DEFAULT_CLOCK_SKEW_SECONDS,
    ) -> None:
        """Prepare an end that waits for `hello`.

        Args:
            agent_key: signs every control frame.
            root: the pinned root; None only together with `allow_unknown_root`.
            allow_unknown_root: take the root that the first hub names (`HelloAccepted.root`,
                for the owner to pin). Ignored when `root` is given.
            seen_sessions: whether a session id was used on an earlier connection.
            revoked: whether the hub's delegation, or the key it names, is revoked.
            clock_skew_seconds: how far the peer's timestamps may be off this clock.
        """
        super().__init__(key=agent_key, clock_skew_seconds=clock_skew_seconds)
        self._root = root
        self._allow_unknown_root = allow_unknown_root
        self._seen_sessions = seen_sessions
        self._revoked = revoked
        self._registered = False
        self._peer_limits: tuple[int, int] | None = None

    def start(self, *, now: datetime, id: str) -> None:
        """Do nothing: the hub speaks first. Here so that both ends are driven alike."""

    def _max_receive_bytes(self) -> int:
        # `register_ack` may be larger than what comes before it; `_is_too_large` holds the rest.
        if self._registered:
            return limits.MAX_FRAME_BYTES
        return limits.MAX_FRAME_BYTES_BEFORE_REGISTRATION

    def _is_too_large(self, envelope: Envelope, size_bytes: int) -> bool:
        return (
            self._state is not SessionState.ONLINE
            and size_bytes > limits.MAX_FRAME_BYTES_BEFORE_REGISTRATION
            and envelope.type != "register_ack"
        )

    def _max_send_bytes(self) -> int:
        if self._peer_limits is None:
            return limits.MAX_FRAME_BYTES_BEFORE_REGISTRATION
        before, after = self._peer_limits
        return after if self._state is SessionState.ONLINE else before

    def _accepts_everyone(self, name: str) -> bool:
        if name == "hello":
            return self._peer is None
        # The hub may fail before it has read whose key it talks to.
        return name == "error" and not self._is_introduced()

    def _may_send(self, name: str) -> bool:
        if self._state is SessionState.ONLINE:
            return name != "register"
        if self._state is SessionState.PENDING:
            return name in ("heartbeat", "error")
        if self._state is SessionState.REGISTERING:
            return (name == "error") if self._registered else (name == "register")
        return False

    def _may_receive(self, name: str) -> bool:
        if self._state is SessionState.ONLINE:
            return name not in _HANDSHAKE
        if self._state is SessionState.PENDING:
            return name in _WHILE_PENDING
        if self._state is SessionState.REGISTERING:
            return name in (_WHILE_DECIDING if self._registered else ("error", "drain"))
        return name == "hello"

    def _check_handshake_key(self, envelope: Envelope) -> None:
        # From here on an answer can be sealed; what the session is worth is decided below.
        if envelope.type != "hello":
            raise AuthFailedError(f"{envelope.type} before hello")

    def _receive_control(
        self, envelope: Envelope, payload: BaseModel, *, now: datetime
    ) -> list[Event]:
        if isinstance(payload, Hello):
            return [self._accept_hello(envelope, payload, now)]
        if isinstance(payload, RegistrationPending):
            self._state = SessionState.PENDING
        elif isinstance(payload, RegisterAck):
            if payload.agent_id != self._own_did:
                raise BadPayloadError("agentId: another agent's")
            self._state = SessionState.ONLINE
        return [ControlReceived(envelope, payload)]

    def _accept_hello(self, envelope: Envelope, payload: Hello, now: datetime) -> HelloAccepted:
        """Section 4: one valid delegation straight from the root, on a session never seen."""
        session = envelope.session
        assert session is not None
        if self._seen_sessions(session):
            raise ReplayError("this session was used before")
        if limits.SUBPROTOCOL.removeprefix("writ.") not in payload.versions:
            raise AuthFailedError("the hub does not speak v1")
        root = self._root
        if root is None:
            if not self._allow_unknown_root:
                raise AuthFailedError("no root is pinned")
            root = PublicKey.parse_did(payload.root)
            root.check_point()
        elif payload.root != root.did:
            root = self._follow_root(root, payload, now)
        delegation = envelope_from_value(payload.delegation)
        self._check_route(delegation, root, envelope.public_key, now)
        self._session_id = session
        self._peer = envelope.public_key
        self._peer_limits = (
            payload.limits.max_frame_bytes_before_registration,
            payload.limits.max_frame_bytes,
        )
        self._state = SessionState.REGISTERING
        return HelloAccepted(root, envelope.public_key, delegation, envelope, payload)

    def _follow_root(self, pinned: PublicKey, payload: Hello, now: datetime) -> PublicKey:
        """Section 5: another root than the pinned one, which the pinned one itself has named."""
        rotations = [envelope_from_value(value) for value in payload.root_rotations or ()]
        root = verify_root_rotations(pinned, rotations, now=now)
        if root.did != payload.root:
            raise AuthFailedError("a hub of another root")
        return root

    def _check_route(
        self, delegation: Envelope, root: PublicKey, hub: PublicKey, now: datetime
    ) -> None:
        if delegation.type != "delegation" or delegation.public_key != root or hub == root:
            raise AuthFailedError("no delegation straight from the root to a hub")
        payload = verify_document(
            delegation, audience=self._own_did, now=now, replay=None, sender=Side.HUB
        ).payload
        assert isinstance(payload, Delegation)
        if now < payload.not_before:
            raise FutureError("the hub's delegation is not valid yet")
        if payload.subject != hub.did or payload.parent is not None:
            raise AuthFailedError("the delegation is not the hub's own")
        # Conditions speak of orders; there is none here, so a condition cannot be true.
        if payload.conditions or not any(
            capability.action == ROUTE_ACTION
            and (capability.agents is None or self._own_did in capability.agents)
            for capability in payload.capabilities
        ):
            raise AuthFailedError("the delegation does not let the hub route here")
        if self._revoked(delegation):
            raise AuthFailedError("the hub's delegation is revoked")

    def _sent(self, payload: BaseModel) -> None:
        if isinstance(payload, Register):
            self._registered = True
