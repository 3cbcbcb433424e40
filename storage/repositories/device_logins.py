"""Machines that wait for their person to sign in elsewhere (RFC 8628)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete

from storage.mapping import Mapping
from storage.records import DeviceLoginRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.sign_in import device_logins

_T = device_logins.c


class DeviceLogins(Repository[DeviceLoginRecord]):
    """Device logins by the hash of the machine's code, or of the code a person types."""

    mapping: Mapping[DeviceLoginRecord] = Mapping(device_logins, DeviceLoginRecord)
    noun = "device login"

    def add(self, record: DeviceLoginRecord) -> None:
        """Keep a new one; a taken code is a `ConflictError` of the unit."""
        self._insert(record)

    def get_by_device(self, hash: str) -> DeviceLoginRecord | None:
        """Return the one of the machine's code, or None."""
        return self._find(device_hash=hash)

    def get_by_user(self, hash: str) -> DeviceLoginRecord | None:
        """Return the one of the person's code, or None."""
        return self._find(user_hash=hash)

    def decide(self, id: str, state: str, user_id: str, at: datetime) -> bool:
        """Approve or deny it, once; False when that was done before or it has expired."""
        where = [_T.id == id, _T.state == "pending", _T.expires_at > TIME.encode(at)]
        return self._change(where, state=state, user_id=user_id) is not None

    def use(self, id: str) -> bool:
        """Use an approved one up, once; False when it is not approved."""
        return self._change([_T.id == id, _T.state == "approved"], state="used") is not None

    def note_poll(self, id: str, at: datetime) -> None:
        """Keep when the machine last asked."""
        self._change([_T.id == id], polled_at=at)

    def forget(self, before: datetime) -> int:
        """Remove those that ended before a time; return how many."""
        gone = delete(device_logins).where(_T.expires_at < TIME.encode(before))
        return self._tx.core(gone).rowcount
