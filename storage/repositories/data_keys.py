"""Data keys and the keys that wrap them. Knows bytes; opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select, update

from storage.mapping import Mapping
from storage.records import DataKeyRecord, WrappingKeyRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.people import realms
from storage.tables.secrets import data_keys, wrapping_keys

_T = data_keys.c
_W = wrapping_keys.c


class WrappingKeys(Repository[WrappingKeyRecord]):
    """Which keys wrap data keys."""

    mapping: Mapping[WrappingKeyRecord] = Mapping(wrapping_keys, WrappingKeyRecord)
    noun = "wrapping key"

    def add(self, record: WrappingKeyRecord) -> bool:
        """Let a key wrap data keys; False when it did already."""
        statement = self._insert_or_ignore().values(self.mapping.values(record)).returning(_W.id)
        return self._tx.core(statement).first() is not None

    def list(self) -> Sequence[WrappingKeyRecord]:
        """Return all, newest first: there are one or two."""
        return self._all(order=_W.created_at.desc())

    def remove(self, id: str) -> None:
        """Let a key wrap no more; a `ConflictError` of the unit while it still wraps one."""
        self._tx.core(delete(wrapping_keys).where(_W.id == id))


class DataKeys(Repository[DataKeyRecord]):
    """Data keys by id."""

    mapping: Mapping[DataKeyRecord] = Mapping(data_keys, DataKeyRecord)
    noun = "data key"

    def add(self, record: DataKeyRecord) -> None:
        """Keep one; a `ConflictError` of the unit when its realm or wrapping key has gone."""
        self._insert(record)

    def get(self, id: str) -> DataKeyRecord | None:
        """Return the key, or None."""
        return self._find(id=id)

    def ids(self) -> frozenset[str]:
        """Return the ids of all."""
        return frozenset(row[0] for row in self._tx.core(select(_T.id)))

    def get_many(self, ids: Sequence[str]) -> Sequence[DataKeyRecord]:
        """Return those of `ids` that there are."""
        return self._all(_T.id.in_(ids))

    def of_realm(self, realm: str | None) -> Sequence[DataKeyRecord]:
        """Return the keys of a realm (None: the hub's own), oldest first."""
        return self._all(_T.realm == realm, order=_T.created_at)

    def wrapped_by_others(self, wrapping_key: str, limit: int) -> Sequence[DataKeyRecord]:
        """Return some keys that another key has wrapped."""
        return self._all(_T.wrapping_key != wrapping_key, order=_T.id, limit=limit)

    def rewrap(self, before: DataKeyRecord, wrapping_key: str, wrapped: bytes) -> bool:
        """Keep a key as another key has wrapped it; False when somebody else did so first."""
        where = [_T.id == before.id, _T.wrapping_key == before.wrapping_key]
        return self._change(where, wrapping_key=wrapping_key, wrapped=wrapped) is not None

    def realms_without_since(self, moment: datetime, limit: int) -> Sequence[str | None]:
        """Return some realms (None: the hub) that have keys, but none made since `moment`."""
        newest = func.max(_T.created_at)
        found = select(_T.realm).group_by(_T.realm).having(newest < TIME.encode(moment))
        return [row[0] for row in self._tx.core(found.order_by(_T.realm).limit(limit))]

    def retired_before(self, moment: datetime, limit: int) -> Sequence[DataKeyRecord]:
        """Return some keys that were retired before `moment`."""
        return self._all(_T.retired_at < TIME.encode(moment), order=_T.id, limit=limit)

    def retire(self, *, made_before: datetime, at: datetime) -> int:
        """Have every key made before a time seal no more; return how many did."""
        where = (_T.retired_at.is_(None), _T.created_at < TIME.encode(made_before))
        changed = update(data_keys).where(*where).values(retired_at=TIME.encode(at))
        return self._tx.core(changed).rowcount

    def realms_without(self, limit: int) -> Sequence[str]:
        """Return some realms that have no key yet."""
        have = select(_T.id).where(_T.realm == realms.c.id).exists()
        found = select(realms.c.id).where(~have).order_by(realms.c.id).limit(limit)
        return [row[0] for row in self._tx.core(found)]

    def destroy(self, id: str) -> None:
        """Forget a key for good: its bytes are overwritten before the row goes."""
        self._overwrite(_T.id == id)
        self._tx.core(delete(data_keys).where(_T.id == id))

    def destroy_realm(self, realm: str) -> None:
        """Forget every key of a realm; what was sealed with them is lost."""
        self._overwrite(_T.realm == realm)
        self._tx.core(delete(data_keys).where(_T.realm == realm))

    def _overwrite(self, where: ColumnElement[bool]) -> None:
        # The same length, so that SQLite writes it over the old bytes in the page.
        for record in self._all(where):
            blank = bytes(len(record.wrapped))
            self._tx.core(update(data_keys).where(_T.id == record.id).values(wrapped=blank))
