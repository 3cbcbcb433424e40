"""`/webhooks`: addresses that are told of events, and what became of telling them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from controlplane.api.agents import parse_if_match
from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import PageQuery, etag_of, page_view, time_view
from controlplane.audit.kinds import KINDS
from controlplane.errors import InvalidFieldError
from controlplane.webhooks.service import (
    Change,
    Span,
    address_for,
    change_webhook,
    create_webhook,
    list_deliveries,
    list_webhooks,
    load_webhook,
    remove_webhook,
    replay_delivery,
    replay_span,
    rotate_secret,
    send_test,
)
from protocol.http_target import MAX_URL_CHARS
from protocol.messages.fields import Name
from protocol.timestamps import Timestamp
from storage.records import DeliveryRecord, WebhookRecord

Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)]
Description = Annotated[str, Field(max_length=500)]
Events = Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=100)]


class EventKindView(View):
    """An event that can be subscribed: by its type, or with all of its family as `family.*`."""

    type: str
    family: str
    description: str


class WebhookView(View):
    """A webhook. `secret` only in the answer that made it; `pending` and `dead` where one is shown.

    `url` is whole for who may change it (`webhooks.write`); others see its origin and how it ends,
    and so does the answer to a repeated request. `state` is enabled or disabled; `disabledReason`
    is `failing`, `gone` or `by a person`.
    """

    id: str
    realm: str | None
    url: str
    description: str
    events: list[str]
    state: str
    disabled_reason: str | None
    failing_since: str | None
    paused_until: str | None
    previous_secret_until: str | None
    created_by: str
    created_at: str
    updated_at: str
    etag: str
    secret: str | None = None
    pending: int | None = None
    dead: int | None = None


class DeliveryView(View):
    """One event on its way. `state` is pending, delivered or dead; the rest is of the last attempt.

    `id` is the `webhook-id` that receivers see; `body` is what they are sent.
    """

    id: str
    type: str
    state: str
    attempts: int
    created_at: str
    next_attempt_at: str | None
    attempted_at: str | None
    finished_at: str | None
    status: int | None
    error: str | None
    excerpt: str | None
    duration_milliseconds: int | None
    body: str


class ReplayedView(View):
    """How many deliveries are due again."""

    replayed: int


class CreateWebhookBody(Body):
    """Where to send what; of one realm, or of the whole hub without one."""

    url: Url
    events: Events
    realm: Name | None = None
    description: Description = ""


class ChangeWebhookBody(Body):
    """What is to be different; what is left out stays.

    Enabled again, it is told of what happens from now on; with `catchUp` of what it missed first.
    """

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: bool | None = None
    catch_up: bool = False


class ReplayBody(Body):
    """Which dead letters: all, or those of `since` <= `createdAt` < `until`.

    With `delivered` what has arrived is sent again too; the span must then have a beginning.
    """

    since: Timestamp | None = None
    until: Timestamp | None = None
    delivered: bool = False


class DeliveriesQuery(PageQuery):
    """Only deliveries in this state."""

    state: Literal["pending", "delivered", "dead"] | None = None


@operation("GET", "/api/v1/webhook-events", permission="webhooks.read", result=list[EventKindView])
async def list_events(call: Call) -> Any:
    """List the events that can be subscribed."""
    items = [
        {"type": kind, "family": one.family, "description": one.does} for kind, one in KINDS.items()
    ]
    return {"items": items, "nextCursor": None}


@operation(
    "POST",
    "/api/v1/webhooks",
    permission="webhooks.write",
    body=CreateWebhookBody,
    result=WebhookView,
    status=201,
    errors=("conflict",),
    step_up=True,
)
async def create(call: Call) -> Any:
    """Have events sent to an address; its secret is shown once."""
    body = call.body
    record, secret = await create_webhook(
        call.hub,
        call.actor,
        realm=body.realm,
        url=body.url,
        events=tuple(body.events),
        description=body.description,
    )
    return _with_secret(call, record, secret)


@operation(
    "GET",
    "/api/v1/webhooks",
    permission="webhooks.read",
    query=PageQuery,
    result=list[WebhookView],
)
async def list_(call: Call) -> Any:
    """List webhooks, newest first."""
    query = call.query
    page = await list_webhooks(call.hub, call.actor, limit=query.limit, cursor=query.cursor)
    return page_view(page, lambda one: webhook_view(call, one))


@operation("GET", "/api/v1/webhooks/{id}", permission="webhooks.read", result=WebhookView)
async def show(call: Call) -> Any:
    """One webhook, and how much waits for it."""
    found = await load_webhook(call.hub, call.actor, call.path["id"])
    view = {**webhook_view(call, found.webhook), "pending": found.pending, "dead": found.dead}
    return Reply(view, headers={"ETag": etag_of(found.webhook.revision)})


@operation(
    "PATCH",
    "/api/v1/webhooks/{id}",
    permission="webhooks.write",
    body=ChangeWebhookBody,
    result=WebhookView,
    errors=("precondition_failed",),
)
async def change(call: Call) -> Any:
    """Change, disable or enable a webhook; with If-Match only over that version."""
    body = call.body
    changed = await change_webhook(
        call.hub,
        call.actor,
        call.path["id"],
        Change(
            url=body.url,
            description=body.description,
            events=None if body.events is None else tuple(body.events),
            enabled=body.enabled,
            catch_up=body.catch_up,
        ),
        revision=parse_if_match(call.headers.get("if-match")),
    )
    return Reply(webhook_view(call, changed), headers={"ETag": etag_of(changed.revision)})


@operation("DELETE", "/api/v1/webhooks/{id}", permission="webhooks.write", status=204)
async def remove(call: Call) -> Any:
    """Remove a webhook and everything that waits for it."""
    await remove_webhook(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "POST",
    "/api/v1/webhooks/{id}/rotate-secret",
    permission="webhooks.write",
    result=WebhookView,
    idempotency="generic",
    step_up=True,
)
async def rotate(call: Call) -> Any:
    """Make a new secret, shown once; the one before signs too for a while."""
    record, secret = await rotate_secret(call.hub, call.actor, call.path["id"])
    return _with_secret(call, record, secret)


@operation("POST", "/api/v1/webhooks/{id}/test", permission="webhooks.write", result=DeliveryView)
async def test(call: Call) -> Any:
    """Send a test event now and tell how that went."""
    return delivery_view(await send_test(call.hub, call.actor, call.path["id"]))


@operation(
    "GET",
    "/api/v1/webhooks/{id}/deliveries",
    permission="webhooks.read",
    query=DeliveriesQuery,
    result=list[DeliveryView],
)
async def deliveries(call: Call) -> Any:
    """List what was sent to a webhook and what waits, newest first."""
    query = call.query
    page = await list_deliveries(
        call.hub,
        call.actor,
        call.path["id"],
        state=query.state,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page_view(page, delivery_view)


@operation(
    "POST",
    "/api/v1/webhooks/{id}/replay",
    permission="webhooks.write",
    body=ReplayBody,
    result=ReplayedView,
)
async def replay_many(call: Call) -> Any:
    """Send every dead letter again, or what was owed in a span, each under the id it had."""
    body = call.body
    if body.delivered and body.since is None:
        raise InvalidFieldError("say from when what has arrived is sent again", pointer="/since")
    span = Span(since=body.since, until=body.until, delivered=body.delivered)
    return {"replayed": await replay_span(call.hub, call.actor, call.path["id"], span)}


@operation(
    "POST",
    "/api/v1/webhooks/{id}/deliveries/{delivery}/replay",
    permission="webhooks.write",
    result=DeliveryView,
    errors=("conflict",),
)
async def replay_one(call: Call) -> Any:
    """Send a delivery again, under the id it had."""
    path = call.path
    return delivery_view(await replay_delivery(call.hub, call.actor, path["id"], path["delivery"]))


def webhook_view(call: Call, record: WebhookRecord) -> dict[str, Any]:
    """Return a webhook as the caller sees it, without its secret."""
    return {
        "id": record.id,
        "realm": record.realm,
        "url": address_for(call.hub, call.actor, record),
        "description": record.description,
        "events": list(record.events),
        "state": record.state,
        "disabledReason": record.disabled_reason,
        "failingSince": time_view(record.failing_since),
        "pausedUntil": time_view(record.paused_until),
        "previousSecretUntil": time_view(record.previous_until),
        "createdBy": record.created_by,
        "createdAt": time_view(record.created_at),
        "updatedAt": time_view(record.updated_at),
        "etag": etag_of(record.revision),
    }


def delivery_view(record: DeliveryRecord) -> dict[str, Any]:
    """Return a delivery as clients see it."""
    return {
        "id": record.id,
        "type": record.type,
        "state": record.state,
        "attempts": record.attempts,
        "createdAt": time_view(record.created_at),
        "nextAttemptAt": time_view(record.next_at) if record.state == "pending" else None,
        "attemptedAt": time_view(record.attempted_at),
        "finishedAt": time_view(record.finished_at),
        "status": record.status,
        "error": record.error,
        "excerpt": record.excerpt,
        "durationMilliseconds": record.duration_ms,
        "body": record.body,
    }


def _with_secret(call: Call, record: WebhookRecord, secret: str) -> Reply:
    shown = webhook_view(call, record)
    headers = {"ETag": etag_of(record.revision)}
    # What is kept for a repeated request lies in the open.
    again = {**shown, "url": record.url, "secret": None}
    return Reply({**shown, "secret": secret}, headers=headers, replay=again)


OPERATIONS = [
    list_events,
    create,
    list_,
    show,
    change,
    remove,
    rotate,
    test,
    deliveries,
    replay_many,
    replay_one,
]
