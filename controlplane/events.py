"""What happens at this hub, told live to whoever watches: bounded, in order, resumable.

Owns the in-process event bus behind server-sent events, webhooks and waiting requests. An event
says that something is already durable; losing events loses no fact. Knows nothing of HTTP, of
sockets and of permissions: a subscriber passes the filter that says what it may see. What another
process of this hub tells comes in by `hear`, and what happens here goes out by `share`.
Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from controlplane.clock import new_id
from protocol.errors import Error

RING_EVENTS = 4_096
"""How many events a subscriber can catch up on with `Last-Event-ID`."""
SUBSCRIBER_EVENTS = 512
"""How far a subscriber may fall behind before it is dropped."""
RING_BYTES = 16 * 1024 * 1024
"""How long those events may be together, as JSON."""
SUBSCRIBER_BYTES = 4 * 1024 * 1024
"""How much may wait for one subscriber before it is dropped."""
OVERLAP_SECONDS = 5.0
"""How far before its last event a reader begins again where several processes tell events: each
hears them in an order of its own, so something may have come after that event at the process that
the reader was connected to, and before it here."""


class SubscriberLaggedError(Error):
    """The subscriber read too slowly and was dropped; it may come back with its last event id."""

    code = "lagged"
    retryable = True


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that has happened.

    Attributes:
        id: UUIDv7; resume point for `Last-Event-ID`.
        type: dotted name, such as `intent.finished`.
        realm: realm whose members may see it, None for the hub's own.
        data: JSON object; never a secret.
        subject: id of the one thing it is about (an intent, a registration), when there is one.
        size_bytes: of `data` as JSON.
        heard: whether it happened at another process of this hub.
        person: id of the one user it is for, when it is not for everybody who may see it.
        about: the frozen record it tells of, for who waits in this process; None when the news
            came from elsewhere. Never sent to anybody.
    """

    id: str
    type: str
    realm: str | None
    data: Mapping[str, Any]
    subject: str | None = None
    size_bytes: int = 0
    heard: bool = False
    person: str | None = None
    about: object | None = None


class Subscription:
    """One reader's queue; iterate it, and leave its `with` (or `async with`) block to end it."""

    def __init__(
        self,
        bus: EventBus,
        accepts: Callable[[Event], bool] | None,
        subjects: frozenset[str] | None,
        max_events: int,
        max_bytes: int,
    ) -> None:
        self.subjects = subjects
        self.gap = False
        """Whether the requested last event was no longer known, so some may have been missed."""
        self._bus = bus
        self._accepts = accepts
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._queue: deque[Event] = deque()
        self._ready = asyncio.Event()
        self._lagged = False
        self._closed = False

    def offer(self, event: Event) -> None:
        """Queue `event` when the filter takes it; past the bound the reader is dropped."""
        if self._closed or self._lagged:
            return
        if self._accepts is not None and not self._accepts(event):
            return
        self._bytes += event.size_bytes
        if len(self._queue) >= self._max_events or self._bytes > self._max_bytes:
            self._lagged = True
            self._queue.clear()
        else:
            self._queue.append(event)
        self._ready.set()

    def poll(self) -> Event | None:
        """Return an event that is there already, or None."""
        if not self._queue:
            return None
        event = self._queue.popleft()
        self._bytes -= event.size_bytes
        return event

    async def next(self) -> Event | None:
        """Return the next event, or None once the subscription is closed.

        Raises:
            SubscriberLaggedError: too many events were waiting.
        """
        while True:
            if self._queue:
                event = self._queue.popleft()
                self._bytes -= event.size_bytes
                return event
            if self._lagged:
                raise SubscriberLaggedError("the reader fell too far behind")
            if self._closed:
                return None
            self._ready.clear()
            await self._ready.wait()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self.next()) is not None:
            yield event

    def close(self) -> None:
        """End the subscription; a waiting reader gets what is queued, then the end."""
        self._closed = True
        self._bus.forget(self)
        self._ready.set()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class EventBus:
    """Every subscriber sees every event it asked for, once and in order, or is told it lagged.

    A reader that comes back with its last event id may see some events of the last seconds again,
    with the ids they had, where several processes tell each other events.
    """

    def __init__(
        self,
        *,
        ring_events: int = RING_EVENTS,
        subscriber_events: int = SUBSCRIBER_EVENTS,
        ring_bytes: int = RING_BYTES,
        subscriber_bytes: int = SUBSCRIBER_BYTES,
    ) -> None:
        self._ring: deque[Event] = deque()
        self._arrived: dict[str, float] = {}
        self._say: Callable[[Event], None] | None = None
        self._ring_events = ring_events
        self._ring_max_bytes = ring_bytes
        self._ring_bytes = 0
        self._subscriber_events = subscriber_events
        self._subscriber_bytes = subscriber_bytes
        self._watchers: dict[Subscription, None] = {}
        self._by_subject: dict[str, dict[Subscription, None]] = {}
        self._closed = False

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        return len(self._watchers) + len({one for g in self._by_subject.values() for one in g})

    def share(self, say: Callable[[Event], None]) -> None:
        """Have every event that is published here told to the other processes of this hub."""
        self._say = say

    def hear(self, event: Event) -> None:
        """Take an event of another process; one that was heard before is left out."""
        if event.id not in self._arrived:
            self._hand_out(replace(event, heard=True))

    def publish(self, event: Event) -> None:
        """Hand `event` to everybody who wants it; never waits."""
        self._hand_out(event)
        if self._say is not None:
            self._say(event)

    def _hand_out(self, event: Event) -> None:
        self._ring.append(event)
        self._ring_bytes += event.size_bytes
        if self._say is not None:
            self._arrived[event.id] = time.monotonic()
        while len(self._ring) > self._ring_events or self._ring_bytes > self._ring_max_bytes:
            lost = self._ring.popleft()
            self._ring_bytes -= lost.size_bytes
            self._arrived.pop(lost.id, None)
        if self._watchers:
            for watcher in list(self._watchers):
                watcher.offer(event)
        if event.subject is not None and self._by_subject:
            for watcher in list(self._by_subject.get(event.subject, ())):
                watcher.offer(event)

    def emit(
        self,
        type: str,
        *,
        realm: str | None,
        data: Mapping[str, Any],
        subject: str | None = None,
        person: str | None = None,
        about: object | None = None,
    ) -> Event:
        """Publish a new event with a fresh id and return it."""
        size_bytes = len(orjson.dumps(data, default=str))
        event = Event(new_id(), type, realm, data, subject, size_bytes, person=person, about=about)
        self.publish(event)
        return event

    def subscribe(
        self,
        accepts: Callable[[Event], bool] | None = None,
        last_event_id: str | None = None,
        *,
        subject: str | None = None,
        subjects: Collection[str] | None = None,
    ) -> Subscription:
        """Return a subscription to all later events, after those since `last_event_id`.

        Args:
            accepts: which events the reader may and wants to see; None for all.
            last_event_id: resume after it. When the ring has lost it, the whole ring is replayed
                and `gap` is true on the subscription.
            subject: only events about this id; many such subscriptions cost a publisher nothing.
            subjects: the same for several ids.
        """
        if subject is not None:
            subjects = (subject,)
        chosen = None if subjects is None else frozenset(subjects)
        subscription = Subscription(
            self,
            accepts,
            chosen,
            max(self._subscriber_events, len(self._ring), len(chosen or ())),
            max(self._subscriber_bytes, self._ring_bytes),
        )
        if last_event_id is not None:
            self._replay(subscription, last_event_id)
        if self._closed:
            subscription.close()
        elif subscription.subjects is None:
            self._watchers[subscription] = None
        else:
            for one in subscription.subjects:
                self._by_subject.setdefault(one, {})[subscription] = None
        return subscription

    def _replay(self, subscription: Subscription, last_event_id: str) -> None:
        ring = list(self._ring)
        start = next((i + 1 for i, event in enumerate(ring) if event.id == last_event_id), None)
        subscription.gap = start is None
        if start is not None and self._say is not None:
            start = self._before(ring, start)
        for event in ring[start or 0 :]:
            if event.id == last_event_id:
                continue
            if subscription.subjects is None or event.subject in subscription.subjects:
                subscription.offer(event)

    def _before(self, ring: Sequence[Event], start: int) -> int:
        """Return where to begin so that what other processes heard in another order is in it."""
        since = self._arrived[ring[start - 1].id] - OVERLAP_SECONDS
        while start > 0 and self._arrived[ring[start - 1].id] >= since:
            start -= 1
        return start

    def forget(self, subscription: Subscription) -> None:
        """Drop a closed subscription; unknown ones are ignored."""
        self._watchers.pop(subscription, None)
        for subject in subscription.subjects or ():
            group = self._by_subject.get(subject)
            if group is not None:
                group.pop(subscription, None)
                if not group:
                    del self._by_subject[subject]

    def close(self) -> None:
        """End every subscription, now and later; used once, when the hub stops."""
        self._closed = True
        for watcher in list(self._watchers):
            watcher.close()
        for group in list(self._by_subject.values()):
            for watcher in list(group):
                watcher.close()
