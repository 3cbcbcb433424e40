"""Settings that are changed at run time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete

from storage.errors import ConflictError
from storage.mapping import Mapping
from storage.records import SettingRecord
from storage.repositories.base import Repository
from storage.tables.people import settings

_T = settings.c


class Settings(Repository[SettingRecord]):
    """Settings by key."""

    mapping: Mapping[SettingRecord] = Mapping(settings, SettingRecord)
    noun = "setting"

    def get(self, key: str) -> SettingRecord | None:
        """Return the setting, or None when it was never set."""
        return self._find(key=key)

    def list(self) -> tuple[SettingRecord, ...]:
        """Return every setting by key."""
        return tuple(self._all(order=_T.key))

    def put(
        self,
        key: str,
        value: Any,
        *,
        at: datetime | None = None,
        by: str | None = None,
        revision: int | None = None,
    ) -> SettingRecord:
        """Set a value and return the setting.

        Args:
            key: which.
            value: JSON; what is secret in it is encrypted by the caller.
            at: when; the time of the transaction otherwise.
            by: who.
            revision: only over this one (0: only when it was never set).

        Raises:
            ConflictError: another revision.
        """
        changed = {"value": value, "updated_at": at or self._tx.now, "updated_by": by}
        found = self.get(key)
        if found is None:
            if revision:
                raise ConflictError("this setting was changed by somebody else")
            record = SettingRecord(key, **changed)
            self._insert(record)
            return record
        return self._revise(_T.key == key, revision, changed)

    def add(self, record: SettingRecord) -> None:
        """Set what was never set; a taken key is a `ConflictError` of the unit."""
        self._insert(record)

    def update(self, key: str, *, revision: int | None = None, **changes: Any) -> SettingRecord:
        """Change what is set; with `revision`, only when nobody else has since."""
        return self._revise(_T.key == key, revision, changes)

    def delete(self, key: str) -> bool:
        """Forget a setting; False when it was never set."""
        return self._tx.core(delete(settings).where(_T.key == key)).rowcount == 1
