"""Simulated agents by the thousand in one process: sockets around `agent.SimulatedAgent`.

Run as `python -m tests.benchmarks.fleet` with a JSON line on stdin ({url, root, tokens, first}).
Prints {"dids": [...]} when all are online. Then one word a line on stdin: `answered` prints how
many orders were answered since it was last asked, `lost` waits until all connections are lost,
`back` until all are online again, each with the times between which that happened.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from typing import Any, cast

import uvloop
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from protocol import limits
from protocol.keys import PublicKey
from tests.benchmarks.agent import SimulatedAgent

BEAT_SECONDS = 0.1
CONNECTING_AT_ONCE = 64
"""Of one process; who would come in faster only queues in front of the hub."""


class Socket(asyncio.Protocol):
    """One WebSocket without tasks or queues: an idle agent costs its buffers and no more."""

    def __init__(self, agent: SimulatedAgent, url: str) -> None:
        self.agent = agent
        self.closed = asyncio.get_running_loop().create_future()
        self.refusal: InvalidStatus | None = None
        self._protocol = ClientProtocol(
            parse_uri(url), subprotocols=[cast(Any, limits.SUBPROTOCOL)], max_size=4 * 1024 * 1024
        )
        self._transport: asyncio.Transport
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)
        self._protocol.send_request(self._protocol.connect())
        self._write()

    def data_received(self, data: bytes) -> None:
        """Have the agent answer every whole message."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            opcode = getattr(event, "opcode", None)
            if opcode in (Opcode.TEXT, Opcode.CONT):
                self._parts.append(bytes(event.data))  # type: ignore[union-attr]
                if event.fin:  # type: ignore[union-attr]
                    whole, self._parts = b"".join(self._parts), []
                    self.say(self.agent.receive(whole.decode()))
        if isinstance(self._protocol.handshake_exc, InvalidStatus):
            self.refusal = self._protocol.handshake_exc
        self._write()

    def say(self, frames: list[bytes]) -> None:
        """Send frames, while there is anybody to send them to."""
        if self._protocol.state is State.OPEN:
            for frame in frames:
                self._protocol.send_text(frame)
            self._write()

    def _write(self) -> None:
        for piece in self._protocol.data_to_send():
            if piece:
                self._transport.write(piece)
            else:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever keeps the agent connected."""
        if not self.closed.done():
            self.closed.set_result(None)


class Member:
    """An agent that is kept connected, with the delays of SPEC section 4."""

    def __init__(self, fleet: Fleet, agent: SimulatedAgent) -> None:
        self._fleet, self.agent = fleet, agent
        self.socket: Socket | None = None

    async def run(self) -> None:
        """Connect, serve, wait, connect again."""
        attempt = 0
        while True:
            greeted, wait = await self._attempt()
            attempt = 0 if greeted else attempt + 1
            if wait:
                delay = wait * random.uniform(1, 1.5)
            else:
                delay = random.uniform(0.5, max(0.5, min(60.0, 2.0**attempt)))
            await asyncio.sleep(delay)

    async def _attempt(self) -> tuple[bool, float]:
        fleet, agent = self._fleet, self.agent
        agent.connect()
        async with fleet.connecting:
            try:
                _, socket = await asyncio.get_running_loop().create_connection(
                    lambda: Socket(agent, fleet.url), fleet.host, fleet.port
                )
            except OSError:
                return False, 0.0
            self.socket = socket
            online = fleet.online_future(self)
            await asyncio.wait({online, socket.closed}, return_when=asyncio.FIRST_COMPLETED)
        if socket.refusal is not None:
            said = socket.refusal.response.headers.get("Retry-After", "0")
            return False, float(said) if said.isdecimal() else 0.0
        if not agent.is_online:
            return False, 0.0
        fleet.came(self)
        await socket.closed
        fleet.left(self)
        wait, agent.retry_after_seconds = agent.retry_after_seconds, 0.0
        return True, wait


class Fleet:
    """All agents of this process."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.url = order["url"]
        uri = parse_uri(self.url)
        self.host, self.port = uri.host, uri.port
        root = PublicKey.parse_did(order["root"])
        self.connecting = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self.members = [
            Member(self, SimulatedAgent(root, f"sim-{order['first'] + number}", token))
            for number, token in enumerate(order["tokens"])
        ]
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._online: set[Member] = set()
        self._changed = asyncio.Event()
        self._answered = 0
        self.moments: list[float] = []
        """When agents came online since it was last asked."""
        for member in self.members:
            member.agent.on_online = self._wake
            member.agent.on_answer = self._count

    def online_future(self, member: Member) -> asyncio.Future[None]:
        """What is done when the agent has been let in."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[member.agent.name] = future
        return future

    def _wake(self, name: str) -> None:
        future = self._waiting.pop(name, None)
        if future is not None and not future.done():
            future.set_result(None)

    def _count(self) -> None:
        self._answered += 1

    def came(self, member: Member) -> None:
        """Note that an agent is online."""
        self._online.add(member)
        self.moments.append(time.time())
        self._changed.set()

    def left(self, member: Member) -> None:
        """Note that an agent has lost its hub."""
        self._online.discard(member)
        self._changed.set()

    async def until_online(self, count: int) -> None:
        """Return when exactly so many are online."""
        while len(self._online) != count:
            self._changed.clear()
            await self._changed.wait()

    def answered(self) -> int:
        """How many orders were answered since this was last asked."""
        count, self._answered = self._answered, 0
        return count

    async def beat(self) -> None:
        """Have every agent say that it lives, spread over the interval, however late this wakes."""
        began, said, count = time.monotonic(), 0, len(self.members)
        while True:
            due = int((time.monotonic() - began) / limits.HEARTBEAT_SECONDS * count)
            for number in range(max(said, due - count), due):
                member = self.members[number % count]
                if member in self._online and member.socket is not None:
                    member.socket.say(member.agent.heartbeat())
            said = due
            await asyncio.sleep(BEAT_SECONDS)


def say(answer: dict[str, Any]) -> None:
    """Answer on stdout."""
    print(json.dumps(answer), flush=True)


async def main() -> None:
    """Read what to do from stdin, and do it until stdin ends."""
    loop = asyncio.get_running_loop()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    fleet = Fleet(json.loads(sys.stdin.readline()))
    tasks = [asyncio.create_task(member.run()) for member in fleet.members]
    tasks.append(asyncio.create_task(fleet.beat()))
    everybody = len(fleet.members)
    await fleet.until_online(everybody)
    say({"dids": [member.agent.key.public_key.did for member in fleet.members]})
    while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if word == "answered":
            say({"answered": fleet.answered()})
            continue
        fleet.moments.clear()
        await fleet.until_online(0 if word == "lost" else everybody)
        say({"at": time.time(), "moments": fleet.moments})
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    uvloop.run(main())
