"""Webhooks as people make, change, test and repair them.

A webhook belongs to a realm, and then is told of that realm only, or to the hub. Its secret is
shown when it is made or renewed, and never again. An address may carry a secret of its receiver in
its path, so it lies sealed (`addresses`), and the record names only its host.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, is_allowed, realms_with
from controlplane.audit.kinds import is_pattern
from controlplane.context import Hub
from controlplane.errors import (
    AccessDeniedError,
    HiddenError,
    InvalidFieldError,
    PreconditionError,
    SecretError,
    StateConflictError,
)
from controlplane.webhooks.addresses import open_address, seal_address, shorten_address
from controlplane.webhooks.attempts import send_attempt
from controlplane.webhooks.following import render_event
from controlplane.webhooks.signing import new_secret, secret_place
from controlplane.webhooks.worker import open_exchange
from protocol.addresses import is_reachable, parse_networks
from protocol.http_target import Target, parse_target
from protocol.timestamps import format_timestamp
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import DeliveryRecord, WebhookRecord
from storage.unit_of_work import UnitOfWork

TEST_TYPE: Final = "webhook.test"
"""The event that a test sends; no leaf stands behind it."""
_READ, _WRITE = "webhooks.read", "webhooks.write"


@dataclass(frozen=True, slots=True)
class Queue:
    """A webhook, and what waits for it or was given up."""

    webhook: WebhookRecord
    pending: int
    dead: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None stays. `catch_up`: go on where it was stopped."""

    url: str | None = None
    description: str | None = None
    events: tuple[str, ...] | None = None
    enabled: bool | None = None
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Dead letters of `since` <= made < `until`; with `delivered` also what has arrived."""

    since: datetime | None = None
    until: datetime | None = None
    delivered: bool = False


async def create_webhook(
    hub: Hub,
    actor: Actor,
    *,
    realm: str | None,
    url: str,
    events: tuple[str, ...],
    description: str,
) -> tuple[WebhookRecord, str]:
    """Return a new webhook and its secret, which is shown here only; it is told of what is next.

    Raises:
        AccessDeniedError: not the caller's realm; the hub's own needs the permission everywhere.
        InvalidFieldError: no such realm or event, or an address the hub would not send to.
        StateConflictError: there are as many as there may be.
    """
    _authorize_new(actor, realm)
    target = _check_url(hub, url)
    _check_events(events)
    if not await hub.secrets.prepare(realm):
        raise InvalidFieldError(f"no realm {realm}", pointer="/realm")
    now, id, secret = clock.now(), clock.new_id(), new_secret()
    sealed = hub.secrets.seal(secret.encode(), place=secret_place(id), realm=realm)
    address = seal_address(hub.secrets, id, realm, url)

    def unit(uow: UnitOfWork) -> WebhookRecord:
        if uow.webhooks.count() >= hub.settings.max_webhooks:
            raise StateConflictError(f"there are {hub.settings.max_webhooks} webhooks already")
        data = {"host": target.host, "events": list(events)}
        _note(uow, "created", actor, id, realm, data)
        record = WebhookRecord(
            id=id,
            realm=realm,
            description=description,
            events=events,
            sealed_secret=sealed,
            **address,
            next_index=uow.audit.size(),
            created_by=actor.subject,
            created_at=now,
            updated_at=now,
        )
        uow.webhooks.add(record)
        return record

    return await hub.database.write(unit), secret


async def list_webhooks(
    hub: Hub, actor: Actor, *, limit: int, cursor: str | None
) -> Page[WebhookRecord]:
    """Return a page of the webhooks the caller may see, newest first."""
    realms = realms_with(actor, _READ)
    return await hub.database.read(
        lambda uow: uow.webhooks.list(realms=realms, limit=limit, cursor=cursor)
    )


async def load_webhook(hub: Hub, actor: Actor, webhook_id: str) -> Queue:
    """Return one webhook with its queue; `HiddenError` when the caller may not see it."""

    def unit(uow: UnitOfWork) -> Queue:
        found = _find(uow, actor, webhook_id)
        count = uow.deliveries.count
        return Queue(found, count(found.id, "pending"), count(found.id, "dead"))

    return await hub.database.read(unit)


def address_for(hub: Hub, actor: Actor, webhook: WebhookRecord) -> str:
    """Return a webhook's address: whole for who may change it, else its origin and how it ends."""
    if not _reaches(actor, _WRITE, webhook.realm):
        return webhook.url if webhook.sealed_url is not None else shorten_address(webhook.url)
    try:
        return open_address(hub.secrets, webhook)
    except SecretError:
        return webhook.url


async def change_webhook(
    hub: Hub, actor: Actor, webhook_id: str, change: Change, *, revision: int | None
) -> WebhookRecord:
    """Return the changed webhook. Enabled again it is told of what is next, or catches up.

    Raises:
        HiddenError, AccessDeniedError: not the caller's to change.
        InvalidFieldError: no such event, or an address the hub would not send to.
        PreconditionError: another revision.
    """
    target = None if change.url is None else _check_url(hub, change.url)
    if change.events is not None:
        _check_events(change.events)
    if change.url is not None:
        before = await hub.database.read(lambda uow: _find(uow, actor, webhook_id, _WRITE))
        await hub.secrets.prepare(before.realm)
    now = clock.now()

    def unit(uow: UnitOfWork) -> WebhookRecord:
        found = _find(uow, actor, webhook_id, _WRITE)
        wanted: dict[str, Any] = {
            name: value
            for name in ("description", "events")
            if (value := getattr(change, name)) is not None
        }
        if change.enabled is not None:
            wanted["state"] = "enabled" if change.enabled else "disabled"
            wanted["disabled_reason"] = None if change.enabled else "by a person"
        if change.enabled and found.state == "disabled":
            wanted |= {"failing_since": None, "paused_until": None}
        data: dict[str, Any] = {"changed": sorted(wanted)}
        if target is not None:
            data = {"changed": sorted([*wanted, "url"]), "host": target.host}
        _note(uow, "changed", actor, found.id, found.realm, data)
        if change.url is not None:
            wanted |= seal_address(hub.secrets, found.id, found.realm, change.url)
        if change.enabled and found.state == "disabled" and not change.catch_up:
            wanted["next_index"] = uow.audit.size()
        try:
            return uow.webhooks.update(found.id, revision=revision, updated_at=now, **wanted)
        except ConflictError as exc:
            raise PreconditionError("the webhook was changed since") from exc

    return await hub.database.write(unit)


async def remove_webhook(hub: Hub, actor: Actor, webhook_id: str) -> None:
    """Remove a webhook and everything that waits for it; `HiddenError` when there is none."""

    def unit(uow: UnitOfWork) -> None:
        found = _find(uow, actor, webhook_id, _WRITE)
        _note(uow, "removed", actor, found.id, found.realm, {})
        uow.webhooks.delete(found.id)

    await hub.database.write(unit)


async def rotate_secret(hub: Hub, actor: Actor, webhook_id: str) -> tuple[WebhookRecord, str]:
    """Return the webhook and its new secret; the one before signs too for the grace time."""
    before = await hub.database.read(lambda uow: _find(uow, actor, webhook_id, _WRITE))
    await hub.secrets.prepare(before.realm)
    now, secret = clock.now(), new_secret()
    grace = timedelta(seconds=hub.settings.webhook_secret_grace_seconds)

    def unit(uow: UnitOfWork) -> WebhookRecord:
        found = _find(uow, actor, webhook_id, _WRITE)
        _note(uow, "secret_rotated", actor, found.id, found.realm, {})
        return uow.webhooks.update(
            found.id,
            sealed_secret=hub.secrets.seal(
                secret.encode(), place=secret_place(found.id), realm=found.realm
            ),
            sealed_previous=found.sealed_secret,
            previous_until=now + grace,
            updated_at=now,
        )

    return await hub.database.write(unit), secret


async def send_test(hub: Hub, actor: Actor, webhook_id: str) -> DeliveryRecord:
    """Return how one attempt with a `webhook.test` event went; nothing follows from it."""
    now, lease = clock.now(), clock.new_id()

    def begin(uow: UnitOfWork) -> tuple[WebhookRecord, DeliveryRecord]:
        found = _find(uow, actor, webhook_id, _WRITE)
        data = {"webhook": found.id, "by": actor.subject}
        delivery = DeliveryRecord(
            id=clock.new_id(),
            webhook_id=found.id,
            type=TEST_TYPE,
            body=render_event(TEST_TYPE, format_timestamp(now), data),
            created_at=now,
            next_at=now,
            state="dead",
            attempts=hub.settings.webhook_attempts,
            lease=lease,
            finished_at=now,
        )
        uow.deliveries.add(delivery)
        return found, delivery

    webhook, delivery = await hub.database.write(begin)
    outcome = await send_attempt(hub, open_exchange(hub), webhook, delivery)
    arrived = outcome.status is not None and 200 <= outcome.status < 300
    over = clock.now()
    kept = await hub.database.write(
        lambda uow: uow.deliveries.settle(
            delivery.id,
            lease,
            state="delivered" if arrived else "dead",
            attempts=1,
            attempted_at=over,
            finished_at=over,
            status=outcome.status,
            error=outcome.error,
            excerpt=outcome.excerpt,
            duration_ms=outcome.duration_ms,
        )
    )
    if kept is None:
        raise HiddenError("the webhook was removed meanwhile")
    return kept


async def list_deliveries(
    hub: Hub, actor: Actor, webhook_id: str, *, state: str | None, limit: int, cursor: str | None
) -> Page[DeliveryRecord]:
    """Return a page of what is owed to a webhook and was sent to it, newest first."""

    def unit(uow: UnitOfWork) -> Page[DeliveryRecord]:
        found = _find(uow, actor, webhook_id)
        return uow.deliveries.list(found.id, state=state, limit=limit, cursor=cursor)

    return await hub.database.read(unit)


async def replay_delivery(
    hub: Hub, actor: Actor, webhook_id: str, delivery_id: str
) -> DeliveryRecord:
    """Return a delivery that is due again, under the id it had.

    Raises:
        HiddenError: none the caller may see.
        StateConflictError: it is still under way.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> DeliveryRecord:
        found = _find(uow, actor, webhook_id, _WRITE)
        delivery = uow.deliveries.get(found.id, delivery_id)
        if delivery is None:
            raise HiddenError("no such delivery")
        if not uow.deliveries.replay(found.id, delivery.id, now):
            raise StateConflictError("it is still under way")
        replayed = uow.deliveries.get(found.id, delivery.id)
        assert replayed is not None
        return replayed

    return await hub.database.write(unit)


async def replay_span(hub: Hub, actor: Actor, webhook_id: str, span: Span) -> int:
    """Make every dead letter of a webhook due again, or what ended in a span; return how many."""
    now = clock.now()
    states = ("dead", "delivered") if span.delivered else ("dead",)

    def unit(uow: UnitOfWork) -> int:
        found = _find(uow, actor, webhook_id, _WRITE)
        return uow.deliveries.replay_span(found.id, states, now, since=span.since, until=span.until)

    return await hub.database.write(unit)


def _note(
    uow: UnitOfWork, what: str, actor: Actor, id: str, realm: str | None, data: dict[str, Any]
) -> None:
    realms = () if realm is None else (realm,)
    uow.audit.append(f"webhook.{what}", actor.subject, id, data, realms=realms)


def _find(uow: UnitOfWork, actor: Actor, webhook_id: str, permission: str = _READ) -> WebhookRecord:
    found = uow.webhooks.get(webhook_id)
    if found is None or not _reaches(actor, _READ, found.realm):
        raise HiddenError("no such webhook")
    if not _reaches(actor, permission, found.realm):
        raise AccessDeniedError(f"needs {permission}")
    return found


def _reaches(actor: Actor, permission: str, realm: str | None) -> bool:
    if realm is None:
        return realms_with(actor, permission) is None
    return is_allowed(actor, permission, realm)


def _authorize_new(actor: Actor, realm: str | None) -> None:
    if realm is not None:
        authorize(actor, _WRITE, realm=realm)
    elif realms_with(actor, _WRITE) is not None:
        raise AccessDeniedError(f"needs {_WRITE} everywhere: name a realm")


def _check_events(events: tuple[str, ...]) -> None:
    for position, one in enumerate(events):
        if not is_pattern(one):
            raise InvalidFieldError("no such event", pointer=f"/events/{position}")


def _check_url(hub: Hub, url: str) -> Target:
    """Return the parts of an address the hub would send to, as far as that can be known now."""
    allowed = parse_networks(hub.settings.webhook_allowed_networks)
    try:
        target = parse_target(url)
    except ValueError as exc:
        raise InvalidFieldError(str(exc), pointer="/url") from None
    if target.scheme != "https" and not any(one.is_loopback for one in allowed):
        raise InvalidFieldError("a webhook begins with https://", pointer="/url")
    try:
        address = ip_address(target.host)
    except ValueError:
        return target
    if not is_reachable(address, allowed):
        raise InvalidFieldError("not a public address", pointer="/url")
    return target
