"""API keys, by the hash of the key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import bindparam, or_, select

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import ApiKeyRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.people import api_keys
from storage.transaction import Prepared

_T = api_keys.c
_MAPPING: Mapping[ApiKeyRecord] = Mapping(api_keys, ApiKeyRecord)
_BY_HASH = Prepared(select(*_MAPPING.columns).where(_T.hash == bindparam("hash")))


class ApiKeys(Repository[ApiKeyRecord]):
    """API keys; revoked and expired ones are handed out too, the caller judges."""

    mapping = _MAPPING
    noun = "API key"

    def add(self, record: ApiKeyRecord) -> None:
        """Keep a new key."""
        self._insert(record)

    def get(self, id: str) -> ApiKeyRecord | None:
        """Return the key, or None."""
        return self._find(id=id)

    def get_by_hash(self, hash: str) -> ApiKeyRecord | None:
        """Return the key of this hash (hex SHA-256), or None."""
        row = self._tx.row(_BY_HASH, hash=hash)
        return None if row is None else _MAPPING.record(row)

    def touch(self, id: str, at: datetime, *, unless_since: datetime) -> bool:
        """Keep when it was last used; False when a use after `unless_since` is kept already."""
        before = or_(_T.last_used_at.is_(None), _T.last_used_at < TIME.encode(unless_since))
        return self._change([_T.id == id, before], last_used_at=at) is not None

    def revoke(self, id: str, at: datetime | None = None) -> bool:
        """Make it worthless; False when it was revoked before or is unknown."""
        where = [_T.id == id, _T.revoked_at.is_(None)]
        return self._change(where, revoked_at=at or self._tx.now) is not None

    def list(
        self,
        *,
        user_id: str | None = None,
        keep: Callable[[ApiKeyRecord], bool] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[ApiKeyRecord]:
        """Return a page, newest first; with `keep`, as if there were no others."""
        where = [_T.user_id == user_id] if user_id is not None else []
        return self._page(where, key=_T.id, limit=limit, cursor=cursor, keep=keep)
