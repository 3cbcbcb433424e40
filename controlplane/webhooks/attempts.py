"""One attempt of one delivery: signed, sent, and what becomes of delivery and webhook by it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from controlplane import clock
from controlplane.context import Hub
from controlplane.errors import SecretError
from controlplane.webhooks.addresses import hide_address, open_address
from controlplane.webhooks.exchange import Exchange, Outcome
from controlplane.webhooks.retries import wait_asked_for, wait_before_retry
from controlplane.webhooks.signing import secret_place, signed_headers
from protocol import __version__
from protocol.http_target import parse_target
from protocol.timestamps import format_timestamp
from storage.records import DeliveryRecord, WebhookRecord
from storage.unit_of_work import UnitOfWork

GONE: Final = 410
_SLOWER: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class Settled:
    """What an attempt has led to; `disabled` is the webhook when it was disabled by it."""

    delivery: DeliveryRecord | None
    disabled: WebhookRecord | None = None


async def send_attempt(
    hub: Hub, exchange: Exchange, webhook: WebhookRecord, delivery: DeliveryRecord
) -> Outcome:
    """Return how one attempt went; it never raises for what a receiver does."""
    now = clock.now()
    sealed = [webhook.sealed_secret]
    if webhook.sealed_previous is not None and (webhook.previous_until or now) > now:
        sealed.append(webhook.sealed_previous)
    place = secret_place(webhook.id)
    try:
        secrets = [hub.secrets.open(one, place=place).decode() for one in sealed]
        url = open_address(hub.secrets, webhook)
        target = parse_target(url)
    except SecretError:
        return Outcome(error="secret_unreadable")
    except ValueError:
        return Outcome(error="bad_url")
    body = delivery.body.encode()
    headers = {
        "content-type": "application/json",
        "user-agent": f"Writ/{__version__}",
        **signed_headers(secrets, id=delivery.id, at=now, body=body),
    }
    outcome = await exchange.post(target, headers, body)
    return replace(outcome, excerpt=hide_address(outcome.excerpt, url))


def settle_attempt(
    uow: UnitOfWork, hub: Hub, delivery: DeliveryRecord, outcome: Outcome, *, now: datetime
) -> Settled:
    """Write down how an attempt went, and what follows for delivery and webhook.

    Args:
        uow: the unit of work.
        hub: for its settings.
        delivery: as it was claimed.
        outcome: of the attempt.
        now: when it was over.
    """
    settings = hub.settings
    arrived = outcome.status is not None and 200 <= outcome.status < 300
    last = outcome.status == GONE or delivery.attempts >= settings.webhook_attempts
    shown: dict[str, Any] = {
        "attempted_at": now,
        "status": outcome.status,
        "error": outcome.error,
        "excerpt": outcome.excerpt,
        "duration_ms": outcome.duration_ms,
    }
    if arrived or last:
        state = "delivered" if arrived else "dead"
        kept = uow.deliveries.settle(
            delivery.id, delivery.lease or "", state=state, finished_at=now, **shown
        )
    else:
        wait = wait_before_retry(
            delivery.attempts,
            first_seconds=settings.webhook_first_retry_seconds,
            max_seconds=settings.webhook_max_retry_seconds,
            chance=random.random(),  # noqa: S311 - spreads load, hides nothing
        )
        asked = wait_asked_for(outcome.retry_after) or timedelta()
        kept = uow.deliveries.settle(
            delivery.id, delivery.lease or "", next_at=now + max(wait, asked), **shown
        )
    webhook = uow.webhooks.get(delivery.webhook_id)
    if webhook is None or kept is None:
        return Settled(kept)
    if arrived:
        if webhook.failing_since is not None or webhook.paused_until is not None:
            uow.webhooks.note(webhook.id, failing_since=None, paused_until=None)
        return Settled(kept)
    return Settled(kept, _note_failure(uow, hub, webhook, outcome, now))


def _note_failure(
    uow: UnitOfWork, hub: Hub, webhook: WebhookRecord, outcome: Outcome, now: datetime
) -> WebhookRecord | None:
    """Keep that a webhook fails; return it when it is disabled for that."""
    since = webhook.failing_since or now
    patience = timedelta(seconds=hub.settings.webhook_disable_after_seconds)
    changes: dict[str, Any] = {}
    if webhook.failing_since is None:
        changes["failing_since"] = now
    asked = wait_asked_for(outcome.retry_after) if outcome.status in _SLOWER else None
    if asked is not None:
        changes["paused_until"] = now + asked
    if changes:
        uow.webhooks.note(webhook.id, **changes)
    reason = "gone" if outcome.status == GONE else "failing" if now - since >= patience else None
    if reason is None:
        return None
    disabled = uow.webhooks.disable(webhook.id, reason, now)
    if disabled is not None:
        data = {"reason": reason, "since": format_timestamp(since)}
        realms = () if webhook.realm is None else (webhook.realm,)
        uow.audit.append("webhook.disabled", "hub", webhook.id, data, realms=realms, at=now)
    return disabled
