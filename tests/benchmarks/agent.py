"""One simulated agent without a socket: frames in, frames out; the real protocol, no work done.

It checks the hub's `hello` against the root, verifies every order's signature and answers with a
signed result, without an `intent_ack` of its own: a result within 100 ms stands for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.envelope import Envelope, envelope_from_value, seal_document
from protocol.ids import format_uuid7
from protocol.join_tokens import join_key, join_proof, parse_join_token
from protocol.keys import PublicKey, SigningKey
from protocol.messages import (
    DocumentAck,
    DocumentAckItem,
    Drain,
    Heartbeat,
    Holds,
    Register,
    RegisterAck,
    dump_payload,
)
from protocol.session import (
    AgentSession,
    ControlReceived,
    DocumentReceived,
    HelloAccepted,
    SessionState,
)
from protocol.timestamps import format_timestamp

ECHO = {
    "name": "echo",
    "capability": "echo",
    "description": "gives its params back",
    "paramsSchema": {"type": "object"},
    "idempotent": True,
}


def now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def new_id(moment: datetime) -> str:
    """A fresh UUIDv7."""
    return format_uuid7(moment, os.urandom(10))


class SimulatedAgent:
    """A key, and the conversation of its newest connection."""

    def __init__(self, root: PublicKey, name: str, token: str | None = None) -> None:
        self.key = SigningKey.from_seed(os.urandom(32))
        self.name = name
        self.retry_after_seconds = 0.0
        """What the hub asked for by `drain`."""
        self.on_online: Callable[[str], None] = lambda _name: None
        self.on_answer: Callable[[], None] = lambda: None
        self._root, self._token = root, token
        self._policy_version: int | None = None
        self._session: AgentSession
        self._hub: PublicKey
        self.connect()

    def connect(self) -> None:
        """Begin a new conversation; the hub speaks first."""
        self._session = AgentSession(
            agent_key=self.key, root=self._root, seen_sessions=lambda _session: False
        )

    @property
    def is_online(self) -> bool:
        """Whether the hub has taken it in."""
        return self._session.state is SessionState.ONLINE

    @property
    def is_closed(self) -> bool:
        """Whether the conversation is over."""
        return self._session.close_code is not None

    def receive(self, frame: str) -> list[bytes]:
        """Return what is said to one frame of the hub."""
        moment = now()
        for event in self._session.receive(frame, now=moment, id=new_id(moment)):
            if isinstance(event, HelloAccepted):
                self._hub = event.hub
                self._session.send(self._register(event), now=moment, id=new_id(moment))
            elif isinstance(event, DocumentReceived) and event.envelope.type == "intent":
                self._session.send_document(self._answer(event.envelope, moment).wire)
                self.on_answer()
            elif isinstance(event, DocumentReceived):
                self._take(event.envelope, moment)
            elif isinstance(event, ControlReceived):
                self._note(event.payload, moment)
        return self._session.data_to_send()

    def heartbeat(self) -> list[bytes]:
        """Return a sign of life, once it is online."""
        if self.is_online:
            moment = now()
            beat = Heartbeat(uptime_seconds=1, load=0.0, memory_bytes=0, running=(), token_usage={})
            self._session.send(beat, now=moment, id=new_id(moment))
        return self._session.data_to_send()

    def _take(self, document: Envelope, moment: datetime) -> None:
        """Keep what is not an order, as an agent would, and say so."""
        if document.type == "policy_update":
            self._policy_version = int(str(document.payload["version"]))
        ack = DocumentAckItem(id=document.id, digest=document.digest, state="accepted")
        self._session.send(DocumentAck(documents=(ack,)), now=moment, id=new_id(moment))

    def _note(self, payload: object, moment: datetime) -> None:
        if isinstance(payload, RegisterAck):
            self._token = None  # used up
            if payload.policy is not None:
                self._take(envelope_from_value(payload.policy), moment)
            self.on_online(self.name)
        elif isinstance(payload, Drain):
            self.retry_after_seconds = float(payload.retry_after_seconds)

    def _register(self, hello: HelloAccepted) -> Register:
        wire: dict[str, Any] = {
            "challenge": hello.payload.challenge,
            "name": self.name,
            "version": "0",
            "capabilities": ["echo"],
            "actions": [ECHO],
            "labels": {},
            "host": {},
            "holds": dump_payload(
                Holds(
                    policy_version=self._policy_version,
                    revocation_epoch=None,
                    delegations=(),
                    checkpoint=None,
                    intents=(),
                )
            ),
        }
        if self._token is not None:
            token = parse_join_token(self._token)
            wire["join"] = {"tokenId": token.id, "proof": ""}
            wire["join"]["proof"] = join_proof(join_key(token.secret), wire)
        return Register.model_validate(wire)

    def _answer(self, intent: Envelope, moment: datetime) -> Envelope:
        intent.public_key.verify(intent.signature, intent.signed_bytes)
        stamp = format_timestamp(moment)
        return seal_document(
            type="result",
            id=new_id(moment),
            timestamp=moment,
            expires=moment + timedelta(days=1),
            audience=self._hub.did,
            payload={
                "intentId": intent.id,
                "intentDigest": intent.digest,
                "status": "succeeded",
                "output": intent.payload["params"],
                "startedAt": stamp,
                "finishedAt": stamp,
                "usage": {},
                "decision": {"policyVersion": 1, "rule": "allow"},
                "sandbox": {},
                "approvals": [],
                "progressCount": 0,
            },
            signer=self.key,
        )
