"""Join tokens: each used once, or never."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import JoinTokenRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.fleet import join_tokens

_T = join_tokens.c


class JoinTokens(Repository[JoinTokenRecord]):
    """Join tokens by id."""

    mapping: Mapping[JoinTokenRecord] = Mapping(join_tokens, JoinTokenRecord)
    noun = "join token"

    def add(self, record: JoinTokenRecord) -> None:
        """Keep a new token."""
        self._insert(record)

    def get(self, id: str) -> JoinTokenRecord | None:
        """Return the token, or None."""
        return self._find(id=id)

    def list(
        self,
        *,
        realm: str | None = None,
        realms: Collection[str] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[JoinTokenRecord]:
        """Return a page, newest first; `realms` is what the caller may see (None: all)."""
        where = [_T.realm == realm] if realm is not None else []
        if realms is not None:
            where.append(_T.realm.in_(sorted(realms)))
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)

    def use(self, id: str, at: datetime, by: str | None = None) -> bool:
        """Use the token up; False when it is used, revoked, expired or unknown."""
        where = [
            _T.id == id,
            _T.used_at.is_(None),
            _T.revoked_at.is_(None),
            _T.expires_at > TIME.encode(at),
        ]
        return self._change(where, used_at=at, used_by=by) is not None

    def revoke(self, id: str, at: datetime | None = None) -> bool:
        """Make an unused token worthless; False when it is used, revoked or unknown."""
        where = [_T.id == id, _T.used_at.is_(None), _T.revoked_at.is_(None)]
        return self._change(where, revoked_at=at or self._tx.now) is not None
