"""Invitations, by the hash of what the link carries."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import InvitationRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.sign_in import invitations

_T = invitations.c


class Invitations(Repository[InvitationRecord]):
    """Invitations; used and ended ones are handed out too, the caller judges."""

    mapping: Mapping[InvitationRecord] = Mapping(invitations, InvitationRecord)
    noun = "invitation"

    def add(self, record: InvitationRecord) -> None:
        """Keep a new invitation."""
        self._insert(record)

    def get(self, id: str) -> InvitationRecord | None:
        """Return the invitation, or None."""
        return self._find(id=id)

    def get_by_hash(self, hash: str) -> InvitationRecord | None:
        """Return the invitation of this hash (hex SHA-256), or None."""
        return self._find(hash=hash)

    def use(self, id: str, by: str, at: datetime) -> bool:
        """Use it up, once; False when it was used, revoked or has expired."""
        where = [
            _T.id == id,
            _T.used_at.is_(None),
            _T.revoked_at.is_(None),
            _T.expires_at > TIME.encode(at),
        ]
        return self._change(where, used_at=at, used_by=by) is not None

    def revoke(self, id: str, at: datetime | None = None) -> bool:
        """Make it worthless; False when it was used or revoked before, or is unknown."""
        where = [_T.id == id, _T.used_at.is_(None), _T.revoked_at.is_(None)]
        return self._change(where, revoked_at=at or self._tx.now) is not None

    def list(
        self,
        *,
        realms: Collection[str] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[InvitationRecord]:
        """Return a page, newest first; with `realms`, only those into one of them."""
        where: list[Any] = [] if realms is None else [_T.realm.in_(sorted(realms))]
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)
