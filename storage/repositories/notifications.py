"""Notifications to people, what they want to be told, and how far the record has been read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Mapping as Choices
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, false, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import NotificationRecord
from storage.repositories.base import Repository
from storage.tables.columns import JSON, TIME
from storage.tables.telling import notification_preferences, notifications, record_followers
from storage.transaction import Transaction

_T = notifications.c
_P = notification_preferences.c
_F = record_followers.c

Reach = Choices[str, Collection[str] | None]
"""Family to the realms of which one may be told; None for all, and for the hub's own."""


class Notifications(Repository[NotificationRecord]):
    """Notifications, newest first; whose they are is always part of the question."""

    mapping: Mapping[NotificationRecord] = Mapping(notifications, NotificationRecord)
    noun = "notification"

    def add(self, record: NotificationRecord) -> bool:
        """Tell somebody; False when they were told this before."""
        statement = self._insert_or_ignore().values(self.mapping.values(record))
        return self._tx.core(statement).rowcount == 1

    def get(self, user_id: str, id: str) -> NotificationRecord | None:
        """Return a notification of this person, or None."""
        return self._find(id=id, user_id=user_id)

    def list(
        self,
        user_id: str,
        reach: Reach,
        *,
        unread: bool = False,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[NotificationRecord]:
        """Return a page of what a person may see."""
        where = [_T.user_id == user_id, _within(reach)]
        if unread:
            where.append(_T.read_at.is_(None))
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)

    def count_unread(self, user_id: str, reach: Reach) -> int:
        """Return how many a person may see and has not read."""
        where = (_T.user_id == user_id, _T.read_at.is_(None), _within(reach))
        statement = select(func.count()).select_from(notifications).where(*where)
        return int(self._tx.core(statement).scalar_one())

    def mark_read(self, user_id: str, id: str | None, at: datetime) -> int:
        """Note that one (None: every one) of a person's has been read; return how many were not."""
        where = [_T.user_id == user_id, _T.read_at.is_(None)]
        if id is not None:
            where.append(_T.id == id)
        statement = update(notifications).where(*where).values(read_at=TIME.encode(at))
        return self._tx.core(statement).rowcount

    def people_to_mail(self, now: datetime, limit: int) -> Sequence[str]:
        """Return whom something is due to be mailed."""
        statement = (
            select(_T.user_id)
            .where(_T.mail.in_(("immediate", "digest")), _T.mail_at <= TIME.encode(now))
            .distinct()
            .order_by(_T.user_id)
            .limit(limit)
        )
        return [str(one) for one in self._tx.core(statement).scalars()]

    def claim_mail(
        self, user_id: str, *, now: datetime, until: datetime, limit: int
    ) -> Sequence[NotificationRecord]:
        """Take what is due to be mailed to a person, oldest first, until `until`."""
        at = TIME.encode(now)
        due = and_(_T.user_id == user_id, _T.mail.in_(("immediate", "digest")), _T.mail_at <= at)
        chosen = select(_T.id).where(due).order_by(_T.id).limit(limit)
        if not self._tx.is_sqlite:
            chosen = chosen.with_for_update(skip_locked=True)
        ids = list(self._tx.core(chosen).scalars())
        if not ids:
            return []
        statement = (
            update(notifications)
            .where(_T.id.in_(ids))
            .values(mail_at=TIME.encode(until), mail_attempts=_T.mail_attempts + 1)
            .returning(*self.mapping.columns)
        )
        rows = [self.mapping.record(row) for row in self._tx.core(statement)]
        return sorted(rows, key=lambda one: one.id)

    def gather_digest(self, user_id: str, now: datetime) -> int:
        """When a person's digest is due, make everything that waits for it due; return how many."""
        digest = and_(_T.user_id == user_id, _T.mail == "digest", _T.mail_attempts == 0)
        due = select(_T.id).where(digest, _T.mail_at <= TIME.encode(now)).limit(1)
        if self._tx.core(due).first() is None:
            return 0
        later = and_(digest, _T.mail_at > TIME.encode(now))
        statement = update(notifications).where(later).values(mail_at=TIME.encode(now))
        return self._tx.core(statement).rowcount

    def settle_mail(self, ids: Sequence[str], mail: str, at: datetime) -> None:
        """Write down what became of the mail of notifications, or when it is tried again."""
        statement = update(notifications).where(_T.id.in_(ids))
        self._tx.core(statement.values(mail=mail, mail_at=TIME.encode(at)))

    def forget(self, before: datetime) -> int:
        """Forget what is older than `before`; return how many."""
        where = _T.created_at < TIME.encode(before)
        return self._tx.core(delete(notifications).where(where)).rowcount

    def forget_beyond(self, user_id: str, keep: int) -> int:
        """Forget all but the newest `keep` of a person; return how many."""
        mine = _T.user_id == user_id
        newest = select(_T.id).where(mine).order_by(_T.id.desc()).offset(keep).limit(1)
        edge = self._tx.core(newest).scalar()
        if edge is None:
            return 0
        return self._tx.core(delete(notifications).where(mine, _T.id <= edge)).rowcount

    # --- what people want to be told ---

    def choices(self, user_id: str) -> dict[str, Any]:
        """Return what a person has chosen, by family; empty when nothing."""
        row = self._tx.core(select(_P.choices).where(_P.user_id == user_id)).first()
        return {} if row is None else dict(JSON.decode(row[0]))

    def set_choices(self, user_id: str, choices: Choices[str, Any], at: datetime) -> None:
        """Keep what a person has chosen."""
        values = {"choices": JSON.encode(dict(choices)), "updated_at": TIME.encode(at)}
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        statement = make(notification_preferences).values(user_id=user_id, **values)
        self._tx.core(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))


class Followers:
    """How far whoever follows the record has read it, by name."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    def get(self, name: str) -> int | None:
        """Return the first leaf that has not been read; None for who has not begun."""
        found = self._tx.core(select(_F.next_index).where(_F.name == name)).scalar()
        return None if found is None else int(found)

    def begin(self, name: str, index: int) -> None:
        """Begin to follow at a leaf; nothing when it was begun before."""
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        statement = make(record_followers).values(name=name, next_index=index)
        self._tx.core(statement.on_conflict_do_nothing())

    def advance(self, name: str, start: int, end: int) -> bool:
        """Say that leaves from `start` to `end` have been read; False when somebody did before."""
        where = (_F.name == name, _F.next_index == start)
        statement = update(record_followers).where(*where).values(next_index=end)
        return self._tx.core(statement).rowcount == 1


def _within(reach: Reach) -> ColumnElement[bool]:
    return or_(
        false(),
        *(
            _T.family == family
            if realms is None
            else and_(_T.family == family, _T.realm.in_(sorted(realms)))
            for family, realms in reach.items()
        ),
    )
