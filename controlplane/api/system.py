"""Health, metrics, events, settings, the well-known files, and the API's description of itself."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from typing import Any

from controlplane import clock
from controlplane.access.authorize import authorize, realms_with
from controlplane.api.docs_page import DOCS_CSP, DOCS_HTML, DOCS_SCRIPT, DOCS_STYLE
from controlplane.api.operation import PUBLIC, Call, Query, Reply, Stream, View, operation
from controlplane.api.shapes import JsonObject
from controlplane.api.sse import check_room, event_stream
from controlplane.events import Event
from controlplane.identity import public_names
from controlplane.token_keys import MAX_AGE_SECONDS
from protocol.messages.fields import Name


class HealthView(View):
    """Alive; or what is ready and what is not."""

    status: str
    checks: dict[str, str] | None = None


class PublicNamesView(View):
    """DIDs of the root, this hub and its log, and the versions of the protocol it speaks."""

    root: str
    hub: str
    log: str
    versions: list[str]


class JwksView(View):
    """Public keys, each a JWK."""

    keys: list[JsonObject]


class EventsQuery(Query):
    """Only events of this realm, or whose type begins with this."""

    realm: Name | None = None
    type: str | None = None


@operation("GET", "/healthz", permission=PUBLIC, result=HealthView)
async def healthz(call: Call) -> Any:
    """The process lives."""
    return {"status": "ok"}


@operation(
    "GET",
    "/readyz",
    permission=PUBLIC,
    result=HealthView,
    also={503: "Something does not answer"},
)
async def readyz(call: Call) -> Any:
    """The hub can do its work: database and file store answer; without its bus it is degraded."""
    hub = call.hub
    checks = dict(await hub.readiness.look(hub.database, hub.files, hub.neighbours.bus))
    status = hub.readiness.decide_status(checks)
    return Reply({"status": status, "checks": checks}, 200 if status in ("ok", "degraded") else 503)


@operation(
    "GET",
    "/metrics",
    permission=PUBLIC,
    errors=("unauthenticated", "forbidden"),
    media_type="text/plain; version=0.0.4; charset=utf-8",
)
async def metrics(call: Call) -> Any:
    """Prometheus numbers; from loopback, or with a key of scope `metrics`."""
    shown = call.headers.get("authorization")
    proxied = "forwarded" in call.headers or "x-forwarded-for" in call.headers
    if shown is not None or proxied or not _is_loopback(call.address):
        actor = await call.hub.authenticator.authenticate(shown)
        authorize(actor, "metrics.read")
    return Reply(call.hub.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@operation("GET", "/.well-known/writ.json", permission=PUBLIC, result=PublicNamesView)
async def well_known(call: Call) -> Any:
    """Who this hub is."""
    return public_names(call.hub.identity)


@operation(
    "GET",
    "/.well-known/jwks.json",
    permission=PUBLIC,
    result=JwksView,
)
async def jwks(call: Call) -> Any:
    """Keys of the tokens this hub issues."""
    age = {"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}
    return Reply(call.hub.token_keys.published(clock.now()), headers=age)


@operation(
    "GET",
    "/api/v1/events",
    permission="events.read",
    query=EventsQuery,
    errors=("rate_limited",),
    media_type="text/event-stream",
)
async def events(call: Call) -> Any:
    """What happens, live (server-sent events), resumable with Last-Event-ID."""
    check_room(call.hub)
    return Stream(_watch(call), "text/event-stream")


async def _watch(call: Call) -> AsyncIterator[bytes]:
    realms = realms_with(call.actor, "events.read")
    query = call.query

    async def still() -> None:
        nonlocal realms
        assert call.authenticate_again is not None
        realms = realms_with(await call.authenticate_again(), "events.read")

    def accepts(event: Event) -> bool:
        if event.person is not None:
            # Somebody's own: theirs wherever it is about, and nobody else's.
            if call.actor.kind != "user" or event.person != call.actor.id:
                return False
        # What belongs to no realm is only for those who see every realm.
        elif realms is not None and event.realm not in realms:
            return False
        if query.realm is not None and event.realm != query.realm:
            return False
        return query.type is None or event.type.startswith(query.type)

    last = call.headers.get("last-event-id")
    yield b"retry: 2000\n\n"
    async with call.hub.events.subscribe(accepts, last) as subscription:
        async for event, piece in event_stream(subscription, still):
            # What was queued before a right was lost is not shown after.
            if event is None or accepts(event):
                yield piece


@operation("GET", "/openapi.json", permission=PUBLIC, result=dict)
async def openapi(call: Call) -> Any:
    """This API, as OpenAPI 3.1."""
    return Reply(call.describe_api(), media_type="application/json")


@operation("GET", "/docs", permission=PUBLIC, media_type="text/html")
async def docs(call: Call) -> Any:
    """This API, to read."""
    headers = {"Content-Security-Policy": DOCS_CSP, "Referrer-Policy": "no-referrer"}
    return Reply(DOCS_HTML.encode(), headers=headers, media_type="text/html; charset=utf-8")


@operation(
    "GET",
    "/docs/page.js",
    permission=PUBLIC,
    media_type="text/javascript",
)
async def docs_script(call: Call) -> Any:
    """The script of /docs."""
    return Reply(DOCS_SCRIPT.encode(), media_type="text/javascript; charset=utf-8")


@operation(
    "GET",
    "/docs/page.css",
    permission=PUBLIC,
    media_type="text/css",
)
async def docs_style(call: Call) -> Any:
    """The style of /docs."""
    return Reply(DOCS_STYLE.encode(), media_type="text/css; charset=utf-8")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


OPERATIONS = [
    healthz,
    readyz,
    metrics,
    well_known,
    jwks,
    events,
    openapi,
    docs,
    docs_script,
    docs_style,
]
