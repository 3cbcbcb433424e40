"""WebAuthn credentials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, or_

from storage.mapping import Mapping
from storage.records import PasskeyRecord
from storage.repositories.base import Repository
from storage.tables.sign_in import passkeys

_T = passkeys.c


class Passkeys(Repository[PasskeyRecord]):
    """Passkeys by credential id."""

    mapping: Mapping[PasskeyRecord] = Mapping(passkeys, PasskeyRecord)
    noun = "passkey"

    def add(self, record: PasskeyRecord) -> None:
        """Keep a new one; a taken credential id is a `ConflictError` of the unit."""
        self._insert(record)

    def get_by_credential(self, credential_id: str) -> PasskeyRecord | None:
        """Return the passkey of this credential id (base64url), or None."""
        return self._find(credential_id=credential_id)

    def for_user(self, user_id: str) -> Sequence[PasskeyRecord]:
        """Return a user's passkeys, oldest first."""
        return self._all(_T.user_id == user_id, order=_T.id)

    def used(self, id: str, sign_count: int, backed_up: bool, at: datetime) -> bool:
        """Keep a use; False unless the counter went up (or neither side counts)."""
        rises = _T.sign_count < sign_count
        if sign_count == 0:
            rises = or_(rises, _T.sign_count == 0)
        changed = self._change(
            [_T.id == id, rises], sign_count=sign_count, backed_up=backed_up, last_used_at=at
        )
        return changed is not None

    def delete(self, id: str, user_id: str) -> bool:
        """Remove a user's passkey; False when they have none of this id."""
        gone = delete(passkeys).where(_T.id == id, _T.user_id == user_id)
        return self._tx.core(gone).rowcount == 1
