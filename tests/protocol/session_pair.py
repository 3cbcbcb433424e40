"""Two real ends of one connection over a pipe of memory, with a clock that only the test moves."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.keys import PublicKey, SigningKey
from protocol.messages import (
    Capability,
    Delegation,
    HelloLimits,
    Holds,
    Register,
    RegisterAck,
    dump_payload,
)
from protocol.session import (
    AgentSession,
    Event,
    HelloAccepted,
    HubSession,
    RegisterReceived,
    SessionState,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT, HUB, AGENT, STRANGER = (SigningKey.from_seed(bytes([n]) * 32) for n in range(1, 5))
CHALLENGE = bytes(range(32))
LIMITS = HelloLimits(
    max_frame_bytes=1_048_576,
    max_frame_bytes_before_registration=65_536,
    heartbeat_seconds=30,
    clock_skew_seconds=60,
)


def make_ids(salt: int = 0) -> Any:
    """Return a function that gives a fresh UUIDv7 at every call, the same ones in every run."""
    counter = itertools.count(1)
    return lambda: format_uuid7(START, bytes([salt]) + next(counter).to_bytes(9, "big"))


def hub_delegation(**changes: Any) -> Envelope:
    """Return the root's delegation to the hub, with fields of payload or envelope changed."""
    sealed: dict[str, Any] = {
        "type": "delegation",
        "id": make_ids(200)(),
        "timestamp": START,
        "expires": START + timedelta(days=365),
        "audience": "*",
        "signer": ROOT,
    }
    fields: dict[str, Any] = {
        "subject": HUB.public_key.did,
        "capabilities": (Capability(action="*"), Capability(action="writ.route")),
        "conditions": (),
        "not_before": START,
        "max_depth": 3,
        "parent": None,
    }
    for name, value in changes.items():
        (sealed if name in sealed else fields)[name] = value
    return seal_document(**sealed, payload=dump_payload(Delegation(**fields)))


def register_payload(challenge: str, **changes: Any) -> Register:
    """Return a small, valid `register`."""
    fields: dict[str, Any] = {
        "challenge": challenge,
        "name": "worker-1",
        "version": "0.1.0",
        "capabilities": ("files",),
        "actions": (),
        "labels": {"site": "north"},
        "host": {},
        "holds": Holds(
            policy_version=None,
            revocation_epoch=0,
            delegations=(),
            checkpoint=None,
            intents=(),
        ),
    }
    return Register(**(fields | changes))


def register_ack(**changes: Any) -> RegisterAck:
    """Return a `register_ack` for AGENT that brings nothing new."""
    fields: dict[str, Any] = {
        "agent_id": AGENT.public_key.did,
        "name": "worker-1",
        "delegations": (),
        "revocations": None,
        "policy": None,
        "log": None,
        "checkpoint": None,
    }
    return RegisterAck(**(fields | changes))


class Pair:
    """A hub's end and an agent's end; `deliver_*` carries everything that waits, in order."""

    def __init__(
        self,
        *,
        delegation: Envelope | None = None,
        hub_key: SigningKey = HUB,
        root: PublicKey | None = ROOT.public_key,
        allow_unknown_root: bool = False,
        seen: frozenset[str] = frozenset(),
        revoked: bool = False,
    ) -> None:
        self.now = START + timedelta(hours=1)
        self.next_id = make_ids()
        self.session_id = self.next_id()
        self.hub = HubSession(
            session_id=self.session_id,
            challenge=CHALLENGE,
            hub_key=hub_key,
            root_did=ROOT.public_key.did,
            hub_delegation=delegation or hub_delegation(),
            hello_limits=LIMITS,
        )
        self.agent = AgentSession(
            agent_key=AGENT,
            root=root,
            allow_unknown_root=allow_unknown_root,
            seen_sessions=seen.__contains__,
            revoked=lambda _envelope: revoked,
        )

    def to_hub(self, data: str | bytes) -> list[Event]:
        return self.hub.receive(data, now=self.now, id=self.next_id())

    def to_agent(self, data: str | bytes) -> list[Event]:
        return self.agent.receive(data, now=self.now, id=self.next_id())

    def deliver_to_agent(self) -> list[Event]:
        frames = self.hub.data_to_send()
        return [event for frame in frames for event in self.to_agent(frame.decode())]

    def deliver_to_hub(self) -> list[Event]:
        frames = self.agent.data_to_send()
        return [event for frame in frames for event in self.to_hub(frame.decode())]

    def start(self) -> list[Event]:
        self.hub.start(now=self.now, id=self.next_id())
        return self.deliver_to_agent()

    def register(self, **changes: Any) -> list[Event]:
        [accepted] = self.start()
        assert isinstance(accepted, HelloAccepted)
        payload = register_payload(accepted.payload.challenge, **changes)
        self.agent.send(payload, now=self.now, id=self.next_id())
        return self.deliver_to_hub()

    def go_online(self) -> Pair:
        [event] = self.register()
        assert isinstance(event, RegisterReceived)
        self.hub.send(register_ack(), now=self.now, id=self.next_id())
        self.deliver_to_agent()
        assert self.hub.state is self.agent.state is SessionState.ONLINE
        return self
