"""People."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import UserRecord
from storage.repositories.base import Repository
from storage.tables.people import users

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
        return self._one(_T.id == id)

    def get_by_name(self, name: str) -> UserRecord | None:
        """Return the user of that name, or None."""
        return self._one(_T.name == name)

    def get_by_operator(self, did: str) -> UserRecord | None:
        """Return the user whose operator key has this DID, or None."""
        return self._one(_T.operator_did == did)

    def list(
        self, *, limit: int = DEFAULT_PAGE_LIMIT, cursor: str | None = None
    ) -> Page[UserRecord]:
        """Return a page by name."""
        return self._page([], key=_T.name, newest_first=False, limit=limit, cursor=cursor)

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
