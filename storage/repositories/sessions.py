"""Who is signed in, by the hash of what they hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import SessionRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.sign_in import sessions
from storage.transaction import Prepared

_T = sessions.c
_MAPPING: Mapping[SessionRecord] = Mapping(sessions, SessionRecord)
_BY_HASH = Prepared(select(*_MAPPING.columns).where(_T.hash == bindparam("hash")))


class Sessions(Repository[SessionRecord]):
    """Sessions; ended and revoked ones are handed out too, the caller judges."""

    mapping = _MAPPING
    noun = "session"

    def add(self, record: SessionRecord) -> None:
        """Keep a new session."""
        self._insert(record)

    def get(self, id: str) -> SessionRecord | None:
        """Return the session, or None."""
        return self._find(id=id)

    def get_by_hash(self, hash: str) -> SessionRecord | None:
        """Return the session of this hash (hex SHA-256), or None."""
        row = self._tx.row(_BY_HASH, hash=hash)
        return None if row is None else _MAPPING.record(row)

    def touch(self, id: str, at: datetime) -> None:
        """Keep when it was last used."""
        self._change([_T.id == id], last_seen_at=at)

    def revoke(self, id: str, at: datetime | None = None) -> bool:
        """End it; False when it was ended before or is unknown."""
        where = [_T.id == id, _T.revoked_at.is_(None)]
        return self._change(where, revoked_at=at or self._tx.now) is not None

    def revoke_all(self, user_id: str, *, but: str | None = None) -> int:
        """End every session of a user, except one; return how many."""
        where: list[Any] = [_T.user_id == user_id, _T.revoked_at.is_(None)]
        if but is not None:
            where.append(_T.id != but)
        ended = self._all(*where)
        for one in ended:
            self.revoke(one.id)
        return len(ended)

    def list(
        self, user_id: str, *, limit: int = DEFAULT_PAGE_LIMIT, cursor: str | None = None
    ) -> Page[SessionRecord]:
        """Return a page of a user's sessions, newest first."""
        return self._page([_T.user_id == user_id], key=_T.id, limit=limit, cursor=cursor)

    def forget(self, before: datetime) -> int:
        """Remove those that ended before a time; return how many."""
        gone = delete(sessions).where(_T.expires_at < TIME.encode(before))
        return self._tx.core(gone).rowcount
