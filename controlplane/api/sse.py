"""Server-sent events: how an event looks on the stream, and a heartbeat for quiet times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import orjson

from controlplane.context import Hub
from controlplane.events import Event, SubscriberLaggedError, Subscription
from protocol.errors import Error, RateLimitedError

KEEPALIVE_SECONDS: Final = 15.0
_KEEPALIVE: Final = b": still here\n\n"


def check_room(hub: Hub) -> None:
    """Return when another stream may be opened; `RateLimitedError` over the hub's bound."""
    if hub.events.subscribers >= hub.settings.max_event_subscribers:
        raise RateLimitedError("too many open event streams")


def format_event(name: str, data: Any, event_id: str | None = None) -> bytes:
    """Return one event as it stands on the stream."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


async def event_stream(
    subscription: Subscription, still: Callable[[], Awaitable[object]]
) -> AsyncIterator[tuple[Event | None, bytes]]:
    """Yield each event with its bytes, and (None, a comment) after 15 quiet seconds.

    Ends when the subscription is closed, or with a `lagged` event when the reader was too slow;
    it then comes back with its last event id. Ends too when the reader may no longer read: a
    stream does not outlive the session, the key or the right it was opened with.

    Args:
        subscription: what to read.
        still: raises when the reader may not read on; asked before every piece.
    """
    while True:
        event: Event | None = None
        try:
            event = await asyncio.wait_for(subscription.next(), KEEPALIVE_SECONDS)
            quiet = False
        except TimeoutError:
            quiet = True
        except SubscriberLaggedError:
            yield None, format_event("lagged", {"code": "lagged"})
            return
        if event is None and not quiet:
            return
        try:
            await still()
        except Error as exc:
            yield None, format_event("ended", {"code": exc.code})
            return
        if event is None:
            yield None, _KEEPALIVE
            continue
        yield event, format_event(event.type, dict(event.data), event.id)
