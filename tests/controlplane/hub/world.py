"""A real hub on a port of its own, over a real database, and an agent that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from controlplane import clock
from controlplane.access.authorize import HUB_ACTOR
from controlplane.app import open_hub
from controlplane.context import Hub
from controlplane.fleet.join_tokens import IssuedToken, create_join_token
from controlplane.fleet.registrations import Approval, approve_registration
from controlplane.hub.live import Live
from controlplane.hub.registry import Registry
from controlplane.intents.submission import Order, submit_orders
from controlplane.intents.targets import Target
from controlplane.policies.content import allow_content
from controlplane.server import HubServer
from controlplane.settings import HubSettings
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.join_tokens import encode_join_token, join_key, join_proof, parse_join_token
from protocol.keys import SigningKey
from protocol.messages import (
    Heartbeat,
    Holds,
    IntentAck,
    IntentAckItem,
    Join,
    Register,
    RegisterAck,
    RegistrationPending,
    Result,
    ResultAck,
    ResultDecision,
    ResultStatus,
    dump_payload,
)
from protocol.session import AgentSession, ControlReceived, DocumentReceived, HelloAccepted
from storage.records import AgentRecord, IntentRecord
from tests.servers.sqlite import lay_schema_of_new

T = TypeVar("T")
P = TypeVar("P", bound=BaseModel)
WAIT_SECONDS = 8.0
NOTHING = Holds(
    policy_version=None, revocation_epoch=None, delegations=(), checkpoint=None, intents=()
)


async def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Return when `condition` holds; fail after a bounded time."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():  # noqa: ASYNC110 - what is watched tells nobody
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what} never came true") from None


def forged(token: str) -> str:
    """The same join token with a secret that somebody made up."""
    return encode_join_token(replace(parse_join_token(token), secret=os.urandom(32)))


class RunningHub:
    """A hub that serves agents, and what a test does to it from outside."""

    def __init__(self, hub: Hub, live: Live, registry: Registry, port: int) -> None:
        self.hub = hub
        self.live = live
        self.registry = registry
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/ws/agent"

    async def read(self, unit: Callable[[Any], T]) -> T:
        return await self.hub.database.read(unit)

    async def intent(self, intent_id: str) -> IntentRecord:
        record = await self.read(lambda uow: uow.intents.get(intent_id))
        assert record is not None
        return record

    async def agent(self, did: str) -> AgentRecord:
        record = await self.read(lambda uow: uow.agents.get(did))
        assert record is not None
        return record

    async def intent_reaches(self, intent_id: str, state: str) -> IntentRecord:
        """Return the intent once it is in `state`; wakes on events, not on a timer."""
        with self.hub.events.subscribe(subject=intent_id) as news:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    record = await self.intent(intent_id)
                    if record.state.value == state:
                        return record
                    await news.next()

    async def order(self, agent_did: str, action: str = "echo", **fields: Any) -> IntentRecord:
        """Submit one order as the hub's admin and return its record."""
        params = fields.pop("params", {"say": "hello"})
        batch = await submit_orders(
            self.hub,
            HUB_ACTOR,
            [Order(target=Target(agent=agent_did), action=action, params=params, **fields)],
        )
        return batch.intents[0]

    async def approve(self, registration_id: str) -> AgentRecord:
        _, agent = await approve_registration(
            self.hub,
            HUB_ACTOR,
            registration_id,
            Approval(realms=("default",), content=allow_content(["*"])),
        )
        return agent

    async def join_token(self, **changes: Any) -> IssuedToken:
        fields: dict[str, Any] = {
            "hub_url": self.url,
            "realm": None,
            "name": None,
            "auto_approve": True,
            "expires_in_seconds": None,
            "capabilities": ["*"],
        }
        return await create_join_token(self.hub, HUB_ACTOR, **{**fields, **changes})

    async def enrolled(self, **changes: Any) -> ScriptedAgent:
        """Return an agent that is online, enrolled by a token that approves by itself."""
        token = await self.join_token()
        agent = ScriptedAgent(self)
        await agent.connect()
        await agent.register(token=token.token, **changes)
        await agent.receive(RegisterAck)
        return agent


@contextlib.asynccontextmanager
async def running_hub(folder: Path, **changes: Any) -> AsyncIterator[RunningHub]:
    """Serve agents from `folder` inside the block; afterwards nothing may be left running."""
    if "database_url" not in changes:
        lay_schema_of_new(folder)
    settings = HubSettings(
        **{"data_dir": folder, "shutdown_seconds": 3.0, "drain_retry_after_seconds": 1, **changes}
    )
    listener = socket.create_server(("127.0.0.1", 0))
    async with open_hub(settings) as parts:
        live = parts.live
        server = HubServer(parts, settings)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.wait_for(server.started_serving.wait(), WAIT_SECONDS)
        try:
            yield RunningHub(parts.hub, live, live.registry, listener.getsockname()[1])
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, WAIT_SECONDS)
    assert len(live.registry) == 0
    assert live.tasks == 0
    assert live.dispatcher.tasks == 0
    assert live.unregistered.total == 0
    assert not list(live.registry.online())


class ScriptedAgent:
    """One agent's key and its present connection; says only what the test has it say."""

    def __init__(self, hub: RunningHub, key: SigningKey | None = None) -> None:
        self.hub = hub
        self.key = key or SigningKey.from_seed(os.urandom(32))
        self.did = self.key.public_key.did
        self.socket: ClientConnection | None = None
        self.session: AgentSession
        self.hello: HelloAccepted
        self._events: list[Any] = []

    # --- connection ---

    async def connect(self, **options: Any) -> None:
        """Open a socket and believe the hub's hello."""
        await self.dial(**options)
        self.hello = await self.next(HelloAccepted)

    async def dial(self, **options: Any) -> None:
        """Open a socket; read nothing yet."""
        self.socket = await connect(
            self.hub.url,
            subprotocols=[cast(Any, "writ.v1")],
            compression=None,
            ping_interval=None,
            max_size=4 * 1024 * 1024,
            **options,
        )
        self.session = AgentSession(
            agent_key=self.key,
            root=self.hub.hub.identity.root,
            seen_sessions=lambda _session: False,
        )
        self._events = []

    @property
    def live(self) -> ClientConnection:
        assert self.socket is not None
        return self.socket

    async def leave(self) -> None:
        """Close the socket as an agent does that means to come back."""
        await self.live.close()

    async def vanish(self) -> None:
        """Cut the wire without a word."""
        self.live.transport.abort()
        await self.live.wait_closed()

    async def close_code(self) -> int:
        """Return the code the hub closes with, reading whatever comes before it."""
        async with asyncio.timeout(WAIT_SECONDS):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    self._take(await self.live.recv())
        received = self.live.protocol.close_rcvd
        assert received is not None, "the connection was cut without a close frame"
        return received.code

    # --- saying ---

    async def say(self, payload: BaseModel) -> str:
        frame_id = self.session.send(payload, now=clock.now(), id=clock.new_id())
        await self.flush()
        return frame_id

    async def say_document(self, envelope: Envelope) -> None:
        self.session.send_document(envelope.wire)
        await self.flush()

    async def flush(self) -> None:
        for frame in self.session.data_to_send():
            await self.live.send(frame.decode())

    async def raw(self, data: str | bytes) -> None:
        await self.live.send(data)

    def register_payload(self, token: str | None = None, **changes: Any) -> Register:
        fields: dict[str, Any] = {
            "challenge": self.hello.payload.challenge,
            "name": "worker",
            "version": "0.1.0",
            "capabilities": ("files",),
            "actions": (),
            "labels": {},
            "host": {},
            "holds": NOTHING,
            **changes,
        }
        if token is None:
            return Register(**fields)
        parsed = parse_join_token(token)
        unproved = Register(**fields, join=Join(token_id=parsed.id, proof="A" * 43 + "="))
        proof = join_proof(join_key(parsed.secret), dump_payload(unproved))
        return Register(**fields, join=Join(token_id=parsed.id, proof=proof))

    async def register(self, **changes: Any) -> None:
        await self.say(self.register_payload(**changes))

    async def online(self, **changes: Any) -> RegisterAck:
        """Connect again with a key that is enrolled."""
        await self.connect()
        await self.register(**changes)
        return await self.receive(RegisterAck)

    async def pending(self, **changes: Any) -> RegistrationPending:
        await self.connect()
        await self.register(**changes)
        return await self.receive(RegistrationPending)

    async def heartbeat(self) -> None:
        await self.say(
            Heartbeat(uptime_seconds=1, load=0.5, memory_bytes=1, running=(), token_usage={})
        )

    async def accept(self, intent: Envelope) -> None:
        await self.say(IntentAck(intents=(IntentAckItem(intent_id=intent.id, state="accepted"),)))

    def result(self, intent: Envelope, output: Any = None, **changes: Any) -> Envelope:
        """Return a signed result for `intent`."""
        now = clock.now()
        fields: dict[str, Any] = {
            "intent_id": intent.id,
            "intent_digest": intent.digest,
            "status": ResultStatus.SUCCEEDED,
            "output": output,
            "finished_at": now,
            "usage": {},
            "decision": ResultDecision(policy_version=1, rule="all"),
            "sandbox": {},
            "approvals": (),
            "progress_count": 0,
            **changes,
        }
        signer = fields.pop("signer", self.key)
        audience = fields.pop("audience", self.hub.hub.identity.hub_did)
        result_id = fields.pop("id", None) or clock.new_id()
        return seal_document(
            type="result",
            id=result_id,
            timestamp=now,
            expires=fields.pop("expires", now + timedelta(days=90)),
            audience=audience,
            payload=dump_payload(Result(**fields)),
            signer=signer,
        )

    # --- hearing ---

    def _take(self, data: str | bytes) -> None:
        self._events += self.session.receive(data, now=clock.now(), id=clock.new_id())

    async def next(self, kind: type[T], fits: Callable[[T], bool] = lambda _event: True) -> T:
        """Return the first event of a kind that fits; the others stay for whoever asks."""
        async with asyncio.timeout(WAIT_SECONDS):
            looked_at = 0
            while True:
                while looked_at < len(self._events):
                    event = self._events[looked_at]
                    if isinstance(event, kind) and fits(event):
                        return cast(T, self._events.pop(looked_at))
                    looked_at += 1
                self._take(await self.live.recv())

    async def receive(self, payload_type: type[P]) -> P:
        """Return the next control frame's payload of this type."""
        event = await self.next(
            ControlReceived, lambda event: isinstance(event.payload, payload_type)
        )
        return cast(P, event.payload)

    async def document(self, type: str = "intent") -> Envelope:
        """Return the next document of a type."""
        event = await self.next(DocumentReceived, lambda event: event.envelope.type == type)
        return parse_document(event.envelope.wire)

    async def result_acks(self, count: int) -> list[str]:
        """Return the intent ids of the next `count` acknowledged results."""
        acknowledged: list[str] = []
        while len(acknowledged) < count:
            ack = await self.receive(ResultAck)
            acknowledged += [item.intent_id for item in ack.results]
        return acknowledged
