"""Realms and who belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import MemberRecord, RealmRecord
from storage.repositories.base import Repository
from storage.tables.people import realm_members, realms

_T = realms.c
_M = realm_members.c
_MEMBERS: Mapping[MemberRecord] = Mapping(realm_members, MemberRecord)


class Realms(Repository[RealmRecord]):
    """Realms by id, which is their name."""

    mapping: Mapping[RealmRecord] = Mapping(realms, RealmRecord)
    noun = "realm"

    def add(self, record: RealmRecord) -> None:
        """Add a realm; a taken id is a `ConflictError` of the unit."""
        self._insert(record)

    def get(self, id: str) -> RealmRecord | None:
        """Return the realm, or None."""
        return self._find(id=id)

    def list(
        self,
        *,
        only: Collection[str] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[RealmRecord]:
        """Return a page by id; `only` is what the caller may see (None: all)."""
        where = [] if only is None else [_T.id.in_(sorted(only))]
        return self._page(where, key=_T.id, newest_first=False, limit=limit, cursor=cursor)

    def update(self, id: str, *, revision: int | None = None, **changes: Any) -> RealmRecord:
        """Change fields; with `revision`, only when nobody else has since.

        Raises:
            NotFoundError: no such realm.
            ConflictError: another revision.
        """
        return self._revise(_T.id == id, revision, changes)

    def delete(self, id: str) -> bool:
        """Remove a realm and its memberships; False when unknown."""
        return self._tx.core(delete(realms).where(_T.id == id)).rowcount == 1

    # --- members ---

    def set_member(self, record: MemberRecord) -> None:
        """Give a user a role in a realm, instead of the one they had."""
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        statement = make(realm_members).values(_MEMBERS.values(record))
        self._tx.core(
            statement.on_conflict_do_update(
                index_elements=["realm", "user_id"], set_={"role": record.role}
            )
        )

    def remove_member(self, realm: str, user_id: str) -> bool:
        """End a membership; False when there was none."""
        where = (_M.realm == realm, _M.user_id == user_id)
        return self._tx.core(delete(realm_members).where(*where)).rowcount == 1

    def member(self, realm: str, user_id: str) -> MemberRecord | None:
        """Return a membership, or None."""
        where = (_M.realm == realm, _M.user_id == user_id)
        row = self._tx.core(select(*_MEMBERS.columns).where(*where)).first()
        return None if row is None else _MEMBERS.record(row)

    def members(self, realm: str) -> Sequence[MemberRecord]:
        """Return who belongs to a realm, by user id."""
        return self._memberships(_M.realm == realm)

    def memberships(self, user_id: str) -> Sequence[MemberRecord]:
        """Return where a user belongs, by realm."""
        return self._memberships(_M.user_id == user_id)

    def _memberships(self, where: Any) -> Sequence[MemberRecord]:
        statement = select(*_MEMBERS.columns).where(where).order_by(_M.realm, _M.user_id)
        return [_MEMBERS.record(row) for row in self._tx.core(statement)]
