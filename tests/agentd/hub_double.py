"""A small hub for the agent's tests: real sockets, the real session machine, no database.

It signs with real keys, keeps every frame it was sent, and resends open intents on each connection
as a hub must. What it does not do: permissions, audit, persistence.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from protocol.audit_tree import consistency_proof, leaf_hash, root_hash
from protocol.base64_text import encode_base64
from protocol.checkpoint import seal_checkpoint
from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey, fingerprint
from protocol.messages import (
    CheckpointProof,
    CheckpointRequest,
    Heartbeat,
    HelloLimits,
    Pong,
    Register,
    RegisterAck,
    RegistrationPending,
    RegistrationRejected,
    ResultAck,
    ResultAckItem,
    dump_payload,
)
from protocol.messages.session import Drain
from protocol.session import (
    ControlReceived,
    DocumentReceived,
    FrameRefused,
    HubSession,
    PeerFailed,
    RegisterReceived,
)
from protocol.verification import Side, verify_document

HUB_ACTIONS = (
    "writ.route",
    "writ.policy",
    "writ.revoke",
    "writ.quarantine",
    "writ.configure",
    "writ.cancel",
    "writ.approve",
    "*",
)


def now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def new_id() -> str:
    return format_uuid7(now(), os.urandom(10))


def new_key() -> SigningKey:
    return SigningKey.from_seed(os.urandom(32))


def seal(
    kind: str, signer: SigningKey, audience: str, payload: dict[str, Any], **more: Any
) -> Envelope:
    moment = more.get("timestamp", now())
    return seal_document(
        type=kind,
        id=more.get("id", new_id()),
        timestamp=moment,
        expires=more.get("expires", moment + timedelta(hours=1)),
        audience=audience,
        payload=payload,
        signer=signer,
    )


def delegate(
    signer: SigningKey,
    subject: str,
    actions: tuple[str, ...],
    *,
    parent: Envelope | None = None,
    max_depth: int = 2,
    **more: Any,
) -> Envelope:
    payload = {
        "subject": subject,
        "capabilities": [{"action": action} for action in actions],
        "conditions": [],
        "notBefore": "2020-01-01T00:00:00.000Z",
        "maxDepth": max_depth,
        "parent": None if parent is None else parent.digest,
    }
    # No longer than its parent, however late it is made.
    more.setdefault("expires", parent.expires if parent else now() + timedelta(days=30))
    return seal("delegation", signer, "*", payload, **more)


@dataclass
class Received:
    """Everything the agent has said, in order."""

    registers: list[Register] = field(default_factory=list)
    frames: list[BaseModel] = field(default_factory=list)
    results: list[Envelope] = field(default_factory=list)
    documents: list[Envelope] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def of(self, model: type[BaseModel]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, model)]


class HubDouble:
    """One hub with one root, for one agent."""

    def __init__(self) -> None:
        self.root = new_key()
        self.key = new_key()
        self.log_key = new_key()
        self.delegation = delegate(self.root, self.key.public_key.did, HUB_ACTIONS)
        self.log_delegation = delegate(self.root, self.log_key.public_key.did, ("writ.log",))
        self.mode = "accept"
        self.busy_headers: dict[str, str] = {}
        """When there are any, the upgrade is answered 503 with them."""
        self.ack_results = True
        self.heartbeat_seconds = 30
        self.delegations: list[Envelope] = []
        self.policy: Envelope | None = None
        self.revocations: Envelope | None = None
        self.checkpoint: str | None = None
        self.send_log = False
        self.answer_proofs = True
        self.answer_heartbeats = True
        self.leaves: list[bytes] = []
        self.open_documents: dict[str, bytes] = {}
        self.received = Received()
        self.agent_did: str | None = None
        self.session: HubSession | None = None
        self.connections = 0
        self._socket: ServerConnection | None = None
        self._server: Server | None = None
        self._changed = asyncio.Condition()
        self.url = ""
        self.on_register: Callable[[RegisterReceived], None] = lambda event: None

    async def __aenter__(self) -> HubDouble:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def listen(self, port: int = 0) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            port,
            subprotocols=["writ.v1"],
            compression=None,
            process_request=self._let_in,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"

    def _let_in(self, socket: ServerConnection, _request: Request) -> Response | None:
        if not self.busy_headers:
            return None
        response = socket.respond(503, "busy\n")
        response.headers.update(self.busy_headers)
        return response

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    # --- what tests do ---

    async def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Wait until the condition holds; it is looked at after every frame."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)
        return condition()

    @property
    def online(self) -> bool:
        return self.session is not None and self.session.state.value == "online"

    async def send(self, payload: BaseModel) -> str:
        assert self.session is not None
        frame_id = self.session.send(payload, now=now(), id=new_id())
        await self._flush()
        return frame_id

    async def send_document(self, envelope: Envelope) -> Envelope:
        assert self.session is not None
        self.session.send_document(envelope.wire)
        await self._flush()
        return envelope

    async def drop(self) -> None:
        assert self._socket is not None
        await self._socket.close(1001)

    async def drain(self, seconds: int) -> None:
        await self.send(Drain(retry_after_seconds=seconds))
        assert self._socket is not None
        await self._socket.close(4503)

    def make_policy(
        self,
        version: int = 1,
        rules: list[dict[str, Any]] | None = None,
        limits: dict[str, Any] | None = None,
        **more: Any,
    ) -> Envelope:
        payload = {
            "policyId": new_id(),
            "version": version,
            "realms": ["default"],
            "default": "deny",
            "rules": rules or [{"id": "all", "effect": "allow", "actions": ["*"]}],
            "limits": limits or {},
        }
        signer = more.pop("signer", self.key)
        proof = more.pop("proof", None)
        if proof:
            payload["proof"] = proof
        return seal("policy_update", signer, self.agent_did or "", payload, **more)

    def make_intent(self, action: str, params: dict[str, Any], **more: Any) -> Envelope:
        signer = more.pop("signer", self.key)
        payload = {
            "action": action,
            "params": params,
            "realm": "default",
            "timeoutSeconds": more.pop("timeout", 30),
        }
        for name in ("proof", "notBefore", "onBehalfOf"):
            if name in more:
                payload[name] = more.pop(name)
        audience = more.pop("audience", self.agent_did or "")
        return seal("intent", signer, audience, payload, **more)

    async def order(self, action: str, params: dict[str, Any], **more: Any) -> Envelope:
        """Order work: sent now when the agent is online, and on every connection until a result."""
        intent = self.make_intent(action, params, **more)
        self.open_documents[intent.id] = intent.wire
        if self.online:
            await self.send_document(intent)
        return intent

    def result_of(self, intent: Envelope) -> dict[str, Any] | None:
        found = self.results_of(intent)
        return found[0].payload if found else None

    def results_of(self, intent: Envelope) -> list[Envelope]:
        return [e for e in self.received.results if e.payload["intentId"] == intent.id]

    async def result(self, intent: Envelope, seconds: float = 20.0) -> dict[str, Any]:
        value = await self.until(lambda: self.result_of(intent), seconds)
        assert isinstance(value, dict)
        return value

    def grow(self, leaves: int) -> str:
        """Append leaves to the record and return its new checkpoint."""
        self.leaves += [leaf_hash(f"leaf {len(self.leaves) + i}".encode()) for i in range(leaves)]
        return self.make_checkpoint()

    def make_checkpoint(self) -> str:
        size = len(self.leaves)
        return seal_checkpoint("hub.example/log", size, root_hash(self.leaves), self.log_key)

    def pong(self, checkpoint: str | None = None) -> Pong:
        return Pong(time=now(), checkpoint=checkpoint, revocation_epoch=None)

    # --- the socket ---

    async def _flush(self) -> None:
        assert self.session is not None
        assert self._socket is not None
        for frame in self.session.data_to_send():
            await self._socket.send(frame, text=True)

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        session = HubSession(
            session_id=new_id(),
            challenge=os.urandom(32),
            hub_key=self.key,
            root_did=self.root.public_key.did,
            hub_delegation=self.delegation,
            hello_limits=HelloLimits(
                max_frame_bytes=1024 * 1024,
                max_frame_bytes_before_registration=64 * 1024,
                heartbeat_seconds=self.heartbeat_seconds,
                clock_skew_seconds=60,
            ),
        )
        self.session, self._socket = session, socket
        session.start(now=now(), id=new_id())
        try:
            await self._flush()
            async for message in socket:
                for event in session.receive(message, now=now(), id=new_id()):
                    await self._take(session, event)
                for frame in session.data_to_send():
                    await socket.send(frame, text=True)
                async with self._changed:
                    self._changed.notify_all()
                if session.close_code is not None:
                    await socket.close(session.close_code)
        except ConnectionClosed:
            pass
        finally:
            if self.session is session:
                self.session = None
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, session: HubSession, event: Any) -> None:
        match event:
            case RegisterReceived():
                self.received.registers.append(event.payload)
                self.agent_did = event.envelope.sender_did
                self.on_register(event)
                await self.decide(session)
            case ControlReceived(payload=Heartbeat()):
                self.received.frames.append(event.payload)
                if self.answer_heartbeats:
                    session.send(self.pong(self.checkpoint), now=now(), id=new_id())
            case ControlReceived(payload=CheckpointRequest() as asked):
                self.received.frames.append(asked)
                if self.answer_proofs:
                    proof = consistency_proof(self.leaves, asked.from_, asked.to)
                    session.send(
                        CheckpointProof.model_validate(
                            {
                                "from": asked.from_,
                                "to": asked.to,
                                "proof": [encode_base64(item) for item in proof],
                            }
                        ),
                        now=now(),
                        id=new_id(),
                    )
            case ControlReceived():
                self.received.frames.append(event.payload)
            case DocumentReceived(envelope=envelope):
                verify_document(
                    envelope,
                    audience=self.key.public_key.did,
                    now=now(),
                    replay=None,
                    sender=Side.AGENT,
                )
                if envelope.type == "result":
                    self._take_result(session, envelope)
                else:
                    self.received.documents.append(envelope)
            case FrameRefused() | PeerFailed():
                self.received.failures.append(event.code)

    def _take_result(self, session: HubSession, envelope: Envelope) -> None:
        self.received.results.append(envelope)
        intent_id = str(envelope.payload["intentId"])
        if self.ack_results:
            self.open_documents.pop(intent_id, None)
            item = ResultAckItem(intent_id=intent_id, result_id=envelope.id)
            session.send(ResultAck(results=(item,)), now=now(), id=new_id())

    async def decide(self, session: HubSession) -> None:
        """Let the agent in, or not, as `mode` says."""
        assert session.peer is not None
        if self.mode == "pending":
            session.send(
                RegistrationPending(
                    registration_id=new_id(),
                    fingerprint=fingerprint(self.root.public_key, session.peer),
                ),
                now=now(),
                id=new_id(),
            )
            return
        if self.mode == "reject":
            session.send(RegistrationRejected(reason="not you"), now=now(), id=new_id())
            return
        if self.policy is None:
            self.policy = self.make_policy()
        session.send(
            RegisterAck(
                agent_id=session.peer.did,
                name="tester",
                delegations=tuple(e.as_value() for e in self.delegations),
                revocations=self.revocations.as_value() if self.revocations else None,
                policy=self.policy.as_value() if self.policy else None,
                log=self.log_delegation.as_value() if self.send_log else None,
                checkpoint=self.checkpoint,
            ),
            now=now(),
            id=new_id(),
        )
        for wire in self.open_documents.values():
            session.send_document(wire)

    async def admit(self) -> None:
        """Approve a pending agent over the live socket."""
        assert self.session is not None
        self.mode = "accept"
        await self.decide(self.session)
        await self._flush()


__all__ = ["HubDouble", "dump_payload"]
