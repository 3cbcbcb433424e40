"""A fleet of simulated agents in one process: the real protocol, the work left out.

Each keeps its key, checks the hub's hello against the root, verifies every order's signature and
answers with a signed result. Run as `python -m tests.benchmarks.fleet` with a JSON line on stdin;
prints {"online": n} when all are there, then serves until stdin ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from protocol import limits
from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.join_tokens import join_key, join_proof, parse_join_token
from protocol.keys import PublicKey, SigningKey
from protocol.messages import Heartbeat, Holds, Register, RegisterAck, dump_payload
from protocol.session import AgentSession, ControlReceived, DocumentReceived, HelloAccepted
from protocol.timestamps import format_timestamp

ECHO = {
    "name": "echo",
    "capability": "echo",
    "description": "gives its params back",
    "paramsSchema": {"type": "object"},
    "idempotent": True,
}


def _now() -> datetime:
    return datetime.now(UTC)


def _id(now: datetime) -> str:
    return format_uuid7(now, os.urandom(10))


class SimulatedAgent:
    """One agent; reconnects until told to stop."""

    def __init__(self, url: str, root: PublicKey, name: str, token: str | None) -> None:
        self._url, self._root, self._name, self._token = url, root, name, token
        self.key = SigningKey.from_seed(os.urandom(32))
        self.online = asyncio.Event()
        self._hub: PublicKey | None = None

    async def run(self) -> None:
        """Stay connected; never gives up."""
        delay = 0.5
        while True:
            try:
                await self._serve()
                delay = 0.5
            except (OSError, InvalidStatus):
                delay = min(60.0, delay * 2)
            except Exception as exc:
                print(f"{self._name}: {type(exc).__name__}", file=sys.stderr)
            self.online.clear()
            await asyncio.sleep(0.5 + (os.urandom(1)[0] / 255) * delay)

    async def _serve(self) -> None:
        session = AgentSession(
            agent_key=self.key, root=self._root, seen_sessions=lambda _session: False
        )
        async with connect(
            self._url,
            subprotocols=[cast(Any, limits.SUBPROTOCOL)],
            compression=None,
            ping_interval=None,
            max_size=4 * 1024 * 1024,
        ) as socket:
            beat = asyncio.create_task(self._heartbeat(session, socket))
            try:
                async for frame in socket:
                    now = _now()
                    for event in session.receive(frame, now=now, id=_id(now)):
                        self._take(session, event)
                    for data in session.data_to_send():
                        await socket.send(data.decode())
                    if session.close_code is not None:
                        return
            finally:
                beat.cancel()

    def _take(self, session: AgentSession, event: object) -> None:
        now = _now()
        if isinstance(event, HelloAccepted):
            self._hub = event.hub
            session.send(self._register(event), now=now, id=_id(now))
        elif isinstance(event, ControlReceived) and isinstance(event.payload, RegisterAck):
            self.online.set()
        elif isinstance(event, DocumentReceived) and event.envelope.type == "intent":
            session.send_document(self._answer(event.envelope, now).wire)

    def _register(self, hello: HelloAccepted) -> Register:
        wire: dict[str, Any] = {
            "challenge": hello.payload.challenge,
            "name": self._name,
            "version": "0",
            "capabilities": ["echo"],
            "actions": [ECHO],
            "labels": {},
            "host": {},
            "holds": dump_payload(
                Holds(
                    policy_version=None,
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

    def _answer(self, intent: Envelope, now: datetime) -> Envelope:
        intent.public_key.verify(intent.signature, intent.signed_bytes)
        assert self._hub is not None
        stamp = format_timestamp(now)
        return seal_document(
            type="result",
            id=_id(now),
            timestamp=now,
            expires=now + timedelta(days=1),
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

    async def _heartbeat(self, session: AgentSession, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(limits.HEARTBEAT_SECONDS)
            now = _now()
            beat = Heartbeat(uptime_seconds=1, load=0.0, memory_bytes=0, running=(), token_usage={})
            session.send(beat, now=now, id=_id(now))
            for data in session.data_to_send():
                await socket.send(data.decode())


async def main() -> None:
    """Read what to do from stdin, and do it until stdin ends."""
    order = json.loads(sys.stdin.readline())
    root = PublicKey.parse_did(order["root"])
    fleet = [
        SimulatedAgent(order["url"], root, f"sim-{order['first'] + number}", token)
        for number, token in enumerate(order["tokens"])
    ]
    tasks = [asyncio.create_task(one.run()) for one in fleet]
    for one in fleet:
        await one.online.wait()
    print(json.dumps({"online": len(fleet), "dids": [f.key.public_key.did for f in fleet]}))
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
