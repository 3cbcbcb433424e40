"""Webhooks, their deliveries, notifications, and what people want to be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """An address that is told of events; without `realm` of those of the whole hub.

    `url` is what may be shown of the address, which lies whole in `sealed_url`; without that, the
    whole. `state` is enabled or disabled. `events` are kinds of leaves, or families: `intent.*`.
    `next_index` is the first leaf of the record that has not been looked at for it.
    """

    id: str
    url: str
    events: tuple[str, ...]
    sealed_secret: bytes = field(repr=False)
    next_index: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    realm: str | None = None
    sealed_url: bytes | None = field(default=None, repr=False)
    description: str = ""
    state: str = "enabled"
    disabled_reason: str | None = None
    sealed_previous: bytes | None = field(default=None, repr=False)
    previous_until: datetime | None = None
    failing_since: datetime | None = None
    paused_until: datetime | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One event for one webhook. `state` is pending, delivered or dead.

    `body` is what is sent, byte for byte. `lease` names the attempt that runs, until
    `leased_until`; `status`, `error`, `excerpt` and `duration_ms` are of the last attempt.
    """

    id: str
    webhook_id: str
    type: str
    body: str
    created_at: datetime
    next_at: datetime
    leaf_index: int | None = None
    state: str = "pending"
    attempts: int = 0
    lease: str | None = None
    leased_until: datetime | None = None
    attempted_at: datetime | None = None
    finished_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    excerpt: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NotificationRecord:
    """One fact that one person is told. `mail` is none, immediate, digest, sent or failed.

    `fact` names what it is about, so that nobody is told it twice. `mail_at` is when it is due to
    be mailed next, or when it was.
    """

    id: str
    user_id: str
    family: str
    fact: str
    data: dict[str, Any]
    created_at: datetime
    realm: str | None = None
    read_at: datetime | None = None
    mail: str = "none"
    mail_attempts: int = 0
    mail_at: datetime | None = None
