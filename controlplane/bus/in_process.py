"""The bus inside one process: nothing but function calls, and alone it costs nothing.

It is what a single hub uses, and what several hubs in one process (tests) share as a `Broker`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import orjson

from controlplane.bus.base import EVENTS, Answerer, Listener, Message, NoAnswerError, tell

KEPT_MESSAGES: Final = 4_096


class Broker:
    """What the members of one bus share: who is there, and the events of the last moments."""

    def __init__(self) -> None:
        self.members: dict[str, InProcessBus] = {}
        self.kept: deque[tuple[str, bytes]] = deque(maxlen=KEPT_MESSAGES)


class InProcessBus:
    """A member's place; see `controlplane.bus.base.Bus`."""

    def __init__(self, member: str, broker: Broker | None = None) -> None:
        self._member = member
        self._broker = broker or Broker()
        self._is_alone = broker is None
        self._listeners: dict[str, list[Listener]] = {}
        self._answerer: Answerer | None = None

    @property
    def is_alone(self) -> bool:
        """Whether it has a broker of its own."""
        return self._is_alone

    @property
    def is_linked(self) -> bool:
        """Always: there is nothing between the members."""
        return True

    def listen(self, topic: str, listener: Listener) -> None:
        """Remember who listens."""
        self._listeners.setdefault(topic, []).append(listener)

    def answer(self, answerer: Answerer) -> None:
        """Remember who answers."""
        self._answerer = answerer

    async def start(self) -> None:
        """Join, and hear what was kept."""
        self._broker.members[self._member] = self
        for member, packed in self._broker.kept:
            if member != self._member:
                self._hear(EVENTS, packed)

    def publish(self, topic: str, message: Message) -> None:
        """Call the others' listeners, soon."""
        if self._is_alone:
            return
        packed = orjson.dumps(message)  # nobody gets to share an object, here as there
        if topic == EVENTS:
            self._broker.kept.append((self._member, packed))
        for name, other in self._broker.members.items():
            if name != self._member:
                asyncio.get_running_loop().call_soon(other._hear, topic, packed)

    def _hear(self, topic: str, packed: bytes) -> None:
        tell(self._listeners.get(topic, ()), orjson.loads(packed))

    async def ask(self, member: str, question: Message, *, timeout_seconds: float) -> Message:
        """Call the other's answerer."""
        other = self._broker.members.get(member)
        if other is None or other._answerer is None:
            raise NoAnswerError("no such member")
        try:
            async with asyncio.timeout(timeout_seconds):
                answer: Message = orjson.loads(
                    orjson.dumps(await other._answerer(orjson.loads(orjson.dumps(question))))
                )
                return answer
        except TimeoutError:
            raise NoAnswerError("no answer in time") from None

    async def check(self) -> None:
        """Nothing can be broken."""

    async def close(self) -> None:
        """Leave."""
        self._broker.members.pop(self._member, None)
