"""People."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import UserRecord
from storage.repositories.base import Repository
from storage.tables.people import realm_members, users

_T = users.c


class Users(Repository[UserRecord]):
    """Users by id; names are unique."""

    mapping: Mapping[UserRecord] = Mapping(users, UserRecord)
    noun = "user"

    def add(self, record: UserRecord) -> None:
        """Add a user; a taken name is a `ConflictError` of the unit."""
        self._insert(record)

    def get(self, id: str) -> UserRecord | None:
        """Return the user, or None."""
        return self._find(id=id)

    def get_by_name(self, name: str) -> UserRecord | None:
        """Return the user of that name, or None."""
        return self._find(name=name)

    def get_by_operator(self, did: str) -> UserRecord | None:
        """Return the user whose operator key has this DID, or None."""
        return self._find(operator_did=did)

    def active_with_role(self, role: str) -> Sequence[UserRecord]:
        """Return the active persons who hold a role everywhere."""
        found = self._all(_T.state == "active", _T.kind == "person", order=_T.id)
        return [one for one in found if role in one.roles]

    def active_people(self) -> Sequence[UserRecord]:
        """Return the active persons, service accounts left out."""
        return self._all(_T.state == "active", _T.kind == "person", order=_T.id)

    def get_many(self, ids: Collection[str]) -> Sequence[UserRecord]:
        """Return those that exist, by name."""
        return self._all(_T.id.in_(sorted(ids)), order=_T.name) if ids else []

    def list(
        self,
        *,
        realms: Collection[str] | None = None,
        q: str | None = None,
        kind: str | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[UserRecord]:
        """Return a page by name.

        Args:
            realms: only members of one of them.
            q: a part of the name or of the e-mail address.
            kind: only people, or only service accounts.
            limit: of the page.
            cursor: where the page before ended.
        """
        where: list[ColumnElement[bool]] = []
        if realms is not None:
            members = select(realm_members.c.user_id).where(realm_members.c.realm.in_(realms))
            where.append(_T.id.in_(members))
        if kind is not None:
            where.append(_T.kind == kind)
        if q:
            part = q.lower()
            where.append(
                or_(
                    func.lower(_T.name).contains(part, autoescape=True),
                    func.lower(_T.email).contains(part, autoescape=True),
                )
            )
        return self._page(where, key=_T.name, newest_first=False, limit=limit, cursor=cursor)

    def update(self, id: str, *, revision: int | None = None, **changes: Any) -> UserRecord:
        """Change fields; with `revision`, only when nobody else has since.

        Raises:
            NotFoundError: no such user.
            ConflictError: another revision, or a taken name.
        """
        return self._revise(_T.id == id, revision, changes)

    def delete(self, id: str) -> bool:
        """Remove a user and their memberships; False when unknown."""
        return self._tx.core(delete(users).where(_T.id == id)).rowcount == 1
