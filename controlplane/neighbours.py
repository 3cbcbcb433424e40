"""What the processes of one hub tell each other: a table of kinds over the bus, and nothing else.

A hint says where to look; the database says what is so. One that is lost is made up for by the
sweeps of `controlplane.hub`, so nothing here is retried. A kind that is not known here is a newer
version's, and is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from controlplane.bus.base import EVENTS, HINTS, Bus, Message
from controlplane.events import Event, EventBus

WAKE: Final = "wake"
CLOSE: Final = "close"
DECIDED: Final = "decided"
FORGET: Final = "forget"
_AGENTS_PER_HINT: Final = 1_000

Handler = Callable[[Message], None]


class Neighbours:
    """The other processes of this hub, as far as they can be told something."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._handlers: dict[str, Handler] = {}
        self._caches: dict[str, Callable[[], object]] = {}
        self._to_wake: dict[str, None] = {}
        self._to_forget: dict[str, None] = {}
        self._scheduled = False
        bus.listen(HINTS, self._take)
        self.on(FORGET, self._forget)

    @property
    def alone(self) -> bool:
        """Whether this process is the whole hub."""
        return self.bus.is_alone

    def on(self, kind: str, handler: Handler) -> None:
        """Have `handler` called with every hint of a kind."""
        self._handlers[kind] = handler

    def tell(self, kind: str, **facts: Any) -> None:
        """Say a hint to every other process; never waits."""
        if not self.alone:
            self.bus.publish(HINTS, {"kind": kind, **facts})

    def wake(self, did: str) -> None:
        """Have whoever holds `did` look at its outbox; those of one turn are one hint."""
        if not self.alone:
            self._to_wake[did] = None
            self._soon()

    # --- caches ------------------------------------------------------------------------------

    def share_cache(self, name: str, forget: Callable[[], object]) -> Callable[[], None]:
        """Have `forget` called when another process changes what the cache `name` holds.

        Returns:
            What to call when it is changed here.
        """
        self._caches[name] = forget

        def changed() -> None:
            if not self.alone:
                self._to_forget[name] = None
                self._soon()

        return changed

    def _forget(self, hint: Message) -> None:
        for name in hint["caches"]:
            forget = self._caches.get(name)
            if forget is not None:
                forget()

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        dids, self._to_wake = list(self._to_wake), {}
        caches, self._to_forget = list(self._to_forget), {}
        if caches:
            self.tell(FORGET, caches=caches)
        for start in range(0, len(dids), _AGENTS_PER_HINT):
            self.tell(WAKE, agents=dids[start : start + _AGENTS_PER_HINT])

    def _take(self, hint: Message) -> None:
        handler = self._handlers.get(str(hint.get("kind")))
        if handler is not None:
            handler(hint)


def share_events(bus: Bus, events: EventBus) -> None:
    """Have every event of this process heard at the others, and theirs here."""
    if bus.is_alone:
        return

    def say(event: Event) -> None:
        bus.publish(
            EVENTS,
            {
                "id": event.id,
                "type": event.type,
                "realm": event.realm,
                "data": event.data,
                "subject": event.subject,
                "bytes": event.size_bytes,
                "person": event.person,
            },
        )

    def hear(message: Message) -> None:
        events.hear(
            Event(
                id=message["id"],
                type=message["type"],
                realm=message["realm"],
                data=message["data"],
                subject=message["subject"],
                size_bytes=message["bytes"],
                person=message.get("person"),
            )
        )

    events.share(say)
    bus.listen(EVENTS, hear)
