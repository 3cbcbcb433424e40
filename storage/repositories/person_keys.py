"""Keys that people sign with themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete

from storage.mapping import Mapping
from storage.records import PersonKeyRecord
from storage.repositories.base import Repository
from storage.tables.sign_in import person_keys

_T = person_keys.c


class PersonKeys(Repository[PersonKeyRecord]):
    """People's own keys, by id and by DID."""

    mapping: Mapping[PersonKeyRecord] = Mapping(person_keys, PersonKeyRecord)
    noun = "key"

    def add(self, record: PersonKeyRecord) -> None:
        """Keep a new one; a taken DID is a `ConflictError` of the unit."""
        self._insert(record)

    def get_by_did(self, did: str) -> PersonKeyRecord | None:
        """Return the key of this DID, revoked or not, or None."""
        return self._find(did=did)

    def for_user(self, user_id: str) -> Sequence[PersonKeyRecord]:
        """Return a user's keys, revoked ones too, oldest first."""
        return self._all(_T.user_id == user_id, order=_T.id)

    def revoke(self, id: str, user_id: str, at: datetime) -> PersonKeyRecord | None:
        """End a user's key; None when they have none of this id, or it has ended before."""
        return self._change(
            [_T.id == id, _T.user_id == user_id, _T.revoked_at.is_(None)], revoked_at=at
        )

    def forget(self, id: str) -> None:
        """Remove a key that has ended."""
        self._tx.core(delete(person_keys).where(_T.id == id, _T.revoked_at.is_not(None)))
