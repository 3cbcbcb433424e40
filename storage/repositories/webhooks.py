"""Webhooks, and what is owed to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import DeliveryRecord, WebhookRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.telling import webhook_deliveries, webhooks
from storage.transaction import BulkInsert

_T = webhooks.c
_D = webhook_deliveries.c
_DELIVERIES: Mapping[DeliveryRecord] = Mapping(webhook_deliveries, DeliveryRecord)
_ADD = BulkInsert(webhook_deliveries, _DELIVERIES.names)


class Webhooks(Repository[WebhookRecord]):
    """Webhooks by id."""

    mapping: Mapping[WebhookRecord] = Mapping(webhooks, WebhookRecord)
    noun = "webhook"

    def add(self, record: WebhookRecord) -> None:
        """Keep a new webhook."""
        self._insert(record)

    def get(self, id: str) -> WebhookRecord | None:
        """Return the webhook, or None."""
        return self._find(id=id)

    def count(self) -> int:
        """Return how many there are."""
        return int(self._tx.core(select(func.count()).select_from(webhooks)).scalar_one())

    def enabled(self) -> Sequence[WebhookRecord]:
        """Return those that are sent to, oldest first."""
        return self._all(_T.state == "enabled", order=_T.id)

    def list(
        self,
        *,
        realms: Collection[str] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[WebhookRecord]:
        """Return a page, newest first; with `realms`, only those of one of them."""
        where = [] if realms is None else [_T.realm.in_(sorted(realms))]
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)

    def update(self, id: str, *, revision: int | None = None, **changes: Any) -> WebhookRecord:
        """Change fields as a person does; with `revision`, only when nobody else has since.

        Raises:
            NotFoundError: no such webhook.
            ConflictError: another revision.
        """
        return self._revise(_T.id == id, revision, changes)

    def note(self, id: str, **changes: Any) -> None:
        """Change what the hub itself keeps of a webhook; its revision stays."""
        self._change([_T.id == id], **changes)

    def seal(self, record: WebhookRecord, *, url: str, sealed_url: bytes) -> bool:
        """Keep an address sealed that lay in the open; False when it was changed since."""
        where = [_T.id == record.id, _T.url == record.url]
        return self._change(where, url=url, sealed_url=sealed_url) is not None

    def advance(self, id: str, start: int, end: int) -> bool:
        """Say that leaves from `start` to `end` have been looked at; False when somebody did."""
        return self._change([_T.id == id, _T.next_index == start], next_index=end) is not None

    def disable(self, id: str, reason: str, at: datetime) -> WebhookRecord | None:
        """Stop sending to it; None when that was done before."""
        where = [_T.id == id, _T.state == "enabled"]
        return self._change(where, state="disabled", disabled_reason=reason, updated_at=at)

    def delete(self, id: str) -> bool:
        """Remove a webhook with its deliveries; False when unknown."""
        return self._tx.core(delete(webhooks).where(_T.id == id)).rowcount == 1


class Deliveries(Repository[DeliveryRecord]):
    """Deliveries by id, which is also their `webhook-id`."""

    mapping = _DELIVERIES
    noun = "delivery"

    def add(self, *records: DeliveryRecord) -> None:
        """Owe events to a webhook; one that is owed already fails the unit."""
        self._tx.defer(_ADD, [self.mapping.row(one) for one in records])

    def get(self, webhook_id: str, id: str) -> DeliveryRecord | None:
        """Return a delivery of this webhook, or None."""
        return self._find(id=id, webhook_id=webhook_id)

    def list(
        self,
        webhook_id: str,
        *,
        state: str | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[DeliveryRecord]:
        """Return a page, newest first."""
        where = [_D.webhook_id == webhook_id]
        if state is not None:
            where.append(_D.state == state)
        return self._page(where, key=_D.id, limit=limit, cursor=cursor)

    def count(self, webhook_id: str, state: str) -> int:
        """Return how many of a webhook's deliveries are in this state."""
        where = (_D.webhook_id == webhook_id, _D.state == state)
        statement = select(func.count()).select_from(webhook_deliveries).where(*where)
        return int(self._tx.core(statement).scalar_one())

    def due(self, now: datetime) -> dict[str, int]:
        """Return how many deliveries may be tried now, by webhook that is sent to."""
        at = TIME.encode(now)
        statement = (
            select(_D.webhook_id, func.count().label("due"))
            .join(webhooks, _T.id == _D.webhook_id)
            .where(
                _T.state == "enabled",
                or_(_T.paused_until.is_(None), _T.paused_until <= at),
                *_claimable(at),
            )
            .group_by(_D.webhook_id)
        )
        return {str(row.webhook_id): int(row.due) for row in self._tx.core(statement)}

    def claim(
        self, webhook_id: str, limit: int, *, lease: str, now: datetime, until: datetime
    ) -> Sequence[DeliveryRecord]:
        """Take up to `limit` deliveries for one attempt each, the longest due first.

        Nobody else gets them before `until`: whoever took them may have died.
        """
        open_now = and_(_D.webhook_id == webhook_id, *_claimable(TIME.encode(now)))
        # By the index alone: a second column would sort a whole backlog for every claim.
        chosen = select(_D.id).where(open_now).order_by(_D.next_at).limit(limit)
        if not self._tx.is_sqlite:
            # In a statement of its own: inside an UPDATE the limit may be looked at anew per row.
            # The rows are locked from here on.
            chosen = chosen.with_for_update(skip_locked=True)
        ids = list(self._tx.core(chosen).scalars())
        if not ids:
            return []
        statement = (
            update(webhook_deliveries)
            .where(_D.id.in_(ids))
            .values(lease=lease, leased_until=TIME.encode(until), attempts=_D.attempts + 1)
            .returning(*self.mapping.columns)
        )
        return [self.mapping.record(row) for row in self._tx.core(statement)]

    def settle(self, id: str, lease: str, **changes: Any) -> DeliveryRecord | None:
        """Write down how an attempt went; None when another one has taken the delivery since."""
        where = [_D.id == id, _D.lease == lease]
        return self._change(where, lease=None, leased_until=None, **changes)

    def give_back(self, delivery: DeliveryRecord) -> bool:
        """Let go of a delivery that was taken and not tried; False when somebody has it since."""
        where = [_D.id == delivery.id, _D.lease == delivery.lease]
        attempts = delivery.attempts - 1
        return self._change(where, lease=None, leased_until=None, attempts=attempts) is not None

    def replay(self, webhook_id: str, id: str, now: datetime) -> bool:
        """Make a finished delivery due again; False while it is under way."""
        return self._due_again(webhook_id, now, _D.id == id, _D.state != "pending") == 1

    def replay_span(
        self,
        webhook_id: str,
        states: Collection[str],
        now: datetime,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Make what ended in one of `states`, but tests, due again; return how many.

        With `since` and `until` only what was owed from the one and before the other.
        """
        where = [_D.state.in_(sorted(states)), _D.leaf_index.is_not(None)]
        if since is not None:
            where.append(_D.created_at >= TIME.encode(since))
        if until is not None:
            where.append(_D.created_at < TIME.encode(until))
        return self._due_again(webhook_id, now, *where)

    def _due_again(self, webhook_id: str, now: datetime, *where: ColumnElement[bool]) -> int:
        statement = (
            update(webhook_deliveries)
            .where(_D.webhook_id == webhook_id, *where)
            .values(state="pending", attempts=0, next_at=TIME.encode(now), finished_at=None)
        )
        return self._tx.core(statement).rowcount

    def forget(self, state: str, before: datetime) -> int:
        """Forget what ended before `before` in this state; return how many."""
        where = (_D.state == state, _D.finished_at < TIME.encode(before))
        return self._tx.core(delete(webhook_deliveries).where(*where)).rowcount

    def forget_beyond(self, webhook_id: str, state: str, keep: int) -> int:
        """Forget all but the newest `keep` in this state; return how many."""
        of_it: tuple[ColumnElement[bool], ...] = (_D.webhook_id == webhook_id, _D.state == state)
        newest = select(_D.id).where(*of_it).order_by(_D.id.desc()).offset(keep).limit(1)
        edge = self._tx.core(newest).scalar()
        if edge is None:
            return 0
        return self._tx.core(delete(webhook_deliveries).where(*of_it, _D.id <= edge)).rowcount


def _claimable(at: int) -> tuple[ColumnElement[bool], ...]:
    return (
        _D.state == "pending",
        _D.next_at <= at,
        or_(_D.leased_until.is_(None), _D.leased_until <= at),
    )
