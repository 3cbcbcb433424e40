"""A hub that says whatever a test wants, true or forged, to one agent process at a time."""

from __future__ import annotations

import json
import queue
import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from websockets.sync.server import Server, ServerConnection, serve

from protocol.base64_text import encode_base64
from protocol.envelope import Envelope, parse_envelope, seal_control, seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp
from tests.protocol.material import HUB, ROOT
from tests.protocol.vectors_handshakes import LIMITS

HOUR = timedelta(hours=1)
HUB_ACTIONS = ["*", "writ.route", "writ.policy", "writ.cancel", "writ.quarantine", "writ.revoke"]


def now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def new_id() -> str:
    return format_uuid7(now(), secrets.token_bytes(10))


FROM, UNTIL = now() - HOUR, now() + HOUR
"""The lifetime of every delegation: a child must not outlive its parent by a millisecond."""


def document(signer: SigningKey, type: str, payload: dict[str, Any], **changes: Any) -> Envelope:
    """Return a document that is good for an hour, with envelope fields changed."""
    fields: dict[str, Any] = {
        "type": type,
        "id": new_id(),
        "timestamp": now(),
        "expires": now() + HOUR,
        "audience": "*",
        "payload": payload,
        "signer": signer,
    }
    return seal_document(**(fields | changes))


def delegation(signer: SigningKey, subject: SigningKey, *actions: str, **changes: Any) -> Envelope:
    """Return a delegation; payload fields are given by their names on the wire."""
    payload: dict[str, Any] = {
        "subject": subject.public_key.did,
        "capabilities": [{"action": action} for action in actions],
        "conditions": [],
        "notBefore": format_timestamp(FROM),
        "maxDepth": 2,
        "parent": None,
    }
    expires = changes.pop("expires", UNTIL)
    return document(signer, "delegation", payload | changes, expires=expires)


class Peer:
    """One connection of the agent, seen from the hub."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.session = new_id()
        self.over = threading.Event()
        self.agent_did = ""
        self.heard: list[str] = []
        self._sequence = 0

    def say(self, text: str) -> None:
        self.socket.send(text)

    def control(self, type: str, payload: dict[str, Any], **changes: Any) -> None:
        """Send a control frame with the next number, fields changed."""
        self._sequence += 1
        fields: dict[str, Any] = {
            "type": type,
            "id": new_id(),
            "timestamp": now(),
            "audience": self.agent_did or "*",
            "session": self.session,
            "sequence": self._sequence,
            "payload": payload,
            "signer": HUB,
        }
        self.say(seal_control(**(fields | changes)).wire.decode())

    def hello(
        self,
        given: Envelope | None = None,
        *,
        root: str = "",
        heartbeat_seconds: int = 30,
        **changes: Any,
    ) -> None:
        given = given or delegation(ROOT, HUB, *HUB_ACTIONS)
        payload = {
            "challenge": encode_base64(secrets.token_bytes(32)),
            "root": root or ROOT.public_key.did,
            "delegation": given.as_value(),
            "limits": LIMITS | {"heartbeatSeconds": heartbeat_seconds},
            "versions": ["v1"],
        }
        self.control("hello", payload, **changes)

    def let_in(
        self, *delegations: Envelope, allow: Sequence[str] = (), heartbeat_seconds: int = 30
    ) -> Envelope:
        """Say `hello`, take `register`, send `register_ack`; return the `register`.

        `allow` makes a policy with one rule; without it there is none.
        """
        self.hello(heartbeat_seconds=heartbeat_seconds)
        register = self.hear("register")
        self.agent_did = register.sender_did
        payload: dict[str, Any] = {
            "agentId": self.agent_did,
            "name": "worker",
            "delegations": [item.as_value() for item in delegations],
            "revocations": None,
            "policy": self._policy(allow).as_value() if allow else None,
            "log": None,
            "checkpoint": None,
        }
        self.control("register_ack", payload)
        return register

    def answer_heartbeat(self) -> None:
        """Take the next heartbeat and say `pong`."""
        self.hear("heartbeat")
        time = format_timestamp(now())
        self.control("pong", {"time": time, "checkpoint": None, "revocationEpoch": None})

    def _policy(self, allow: Sequence[str]) -> Envelope:
        payload = {
            "policyId": new_id(),
            "version": 1,
            "realms": ["default"],
            "default": "deny",
            "rules": [{"id": "all", "effect": "allow", "actions": list(allow)}],
            "limits": {},
        }
        return document(HUB, "policy_update", payload, audience=self.agent_did)

    def hear(self, type: str) -> Envelope:
        """Return the next frame of a type; its signature holds. Others are passed over."""
        while True:
            envelope = parse_envelope(self.socket.recv(timeout=20))
            envelope.public_key.verify(envelope.signature, envelope.signed_bytes)
            self.heard.append(envelope.type)
            if envelope.type == type:
                return envelope

    def close_code(self) -> int:
        """Wait until the agent has closed, and return its code."""
        try:
            while True:
                self.socket.recv(timeout=20)
        except Exception:
            assert self.socket.protocol.close_rcvd is not None
            return self.socket.protocol.close_rcvd.code

    def hang_up(self) -> None:
        self.over.set()
        self.socket.close()


class ScriptedHub:
    """Listens on a free port of 127.0.0.1 until the block is left."""

    def __init__(self) -> None:
        self._arrived: queue.Queue[Peer] = queue.Queue()
        self._peers: list[Peer] = []
        self._server: Server = serve(
            self._serve, "127.0.0.1", 0, subprotocols=["writ.v1"], compression=None
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for peer in self._peers:
            peer.over.set()
        self._server.shutdown()
        self._thread.join(10)

    def accept(self) -> Peer:
        """Wait for the next connection."""
        return self._arrived.get(timeout=30)

    def _serve(self, socket: ServerConnection) -> None:
        peer = Peer(socket)
        self._peers.append(peer)
        self._arrived.put(peer)
        peer.over.wait(120)


def payload_of(envelope: Envelope) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(envelope.wire)["payload"]
    return value
