"""Secrets at rest: sealed with a data key of the realm they belong to, or of the hub.

A data key lies in the database, wrapped by a key that does not (`controlplane.wrapping_keys`). So
wrapping keys change without touching what is sealed, and a realm whose data keys are destroyed has
no secrets any more, in no backup. Every sealed value names its data key and is bound to its place:
table, row and column. Sealing and opening touch no database, so units of work can do both.

A new data key is known to every hub process for `ADOPT_AFTER` before anyone seals with it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from controlplane import clock
from controlplane.errors import SecretError
from controlplane.secrets import SecretBox
from controlplane.wrapping_keys import KEY_BYTES, WrappingKeys, load_wrapping_keys
from protocol.errors import KeyFileError
from storage.errors import ConflictError
from storage.records import DataKeyRecord, WrappingKeyRecord

if TYPE_CHECKING:
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

REFRESH_SECONDS: Final = 2.0
ADOPT_AFTER: Final = timedelta(seconds=10)
BATCH: Final = 100
_VERSION: Final = b"\x02"
_ID_BYTES: Final = 16
_TRIES: Final = 5


class SecretKeeper:
    """Seals and opens the secrets of one hub process; keys stay inside."""

    def __init__(self, key_file: Path, database: Database) -> None:
        self._key_file = key_file
        self._database = database
        self._wrapping = load_wrapping_keys(key_file)
        self._records: dict[str, DataKeyRecord] = {}
        self._boxes: dict[str, SecretBox] = {}
        self._by_realm: dict[str | None, list[DataKeyRecord]] = {}

    @classmethod
    async def load(cls, key_file: Path, database: Database) -> SecretKeeper:
        """Return a keeper that has a data key for the hub and for every realm, made now if need be.

        Raises:
            KeyFileError: no wrapping keys in `key_file`.
            SecretError: the hub's data keys were wrapped by another key.
        """
        keeper = cls(key_file, database)
        await keeper.prepare(None)
        while realms := await database.read(lambda uow: uow.data_keys.realms_without(BATCH)):
            for realm in realms:
                await keeper.prepare(realm)
        await keeper.refresh()
        if not any(one.id in keeper._boxes for one in keeper._by_realm.get(None, ())):
            raise SecretError(f"{key_file.name} does not hold the key of this hub's secrets")
        return keeper

    # --- sealing and opening ---

    def seal(self, secret: bytes, *, place: str, realm: str | None = None) -> bytes:
        """Return `secret` sealed: version, data key id, and what that key's box made of it.

        Args:
            secret: any bytes.
            place: where it is kept, such as `join_tokens/<id>/key`.
            realm: whose it is, and with whom it perishes; None for the hub's own. A realm that was
                made through another process a moment ago needs `prepare` first.

        Raises:
            SecretError: no data key of that realm is known here.
        """
        record = self._sealing_key(realm, clock.now())
        if record is None:
            raise SecretError("no data key for this realm")
        box = self._boxes[record.id]
        head = _VERSION + uuid.UUID(record.id).bytes
        return head + box.seal(secret, place=_bound(record.id, place))

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Return the secret that was sealed for `place`, in the present form or the first one.

        Raises:
            SecretError: a key that is not known here, another place, or changed bytes.
        """
        key_id = data_key_id(sealed)
        if key_id is None:
            return self._open_first_form(sealed, place)
        box = self._boxes.get(key_id)
        if box is None:
            raise SecretError("a secret of a data key that is not known here")
        return box.open(sealed[1 + _ID_BYTES :], place=_bound(key_id, place))

    def open_in(self, uow: UnitOfWork, sealed: bytes, *, place: str) -> bytes:
        """Return the same inside a unit of work, which knows keys made a moment ago elsewhere."""
        key_id = data_key_id(sealed)
        if key_id is not None and key_id not in self._boxes:
            record = uow.data_keys.get(key_id)
            if record is not None:
                self._take(record)
        return self.open(sealed, place=place)

    def is_current(self, sealed: bytes, realm: str | None) -> bool:
        """Whether a value is sealed with the key that `seal` would use now."""
        record = self._sealing_key(realm, clock.now())
        return record is None or data_key_id(sealed) == record.id

    # --- keys ---

    async def prepare(self, realm: str | None) -> bool:
        """Have a data key for a realm; False when there is no such realm.

        Raises:
            SecretError: the database's wrapping key is not in the file.
        """
        if self._by_realm.get(realm):
            return True
        for attempt in range(_TRIES):
            keys = load_wrapping_keys(self._key_file)
            try:
                records = await self._database.write(lambda uow: _make_first(uow, keys, realm))  # noqa: B023
            except ConflictError:
                # The realm or the wrapping key went away under our hands: look again.
                if attempt + 1 == _TRIES:
                    raise
                continue
            break
        self._wrapping = keys
        for record in records:
            self._take(record)
        return bool(records)

    async def refresh(self) -> None:
        """Know the data keys there are, and no others."""
        ids = await self._database.read(lambda uow: uow.data_keys.ids())
        for gone in self._records.keys() - ids:
            self._drop(gone)
        missing = sorted(ids - self._boxes.keys())
        for start in range(0, len(missing), BATCH):
            some = missing[start : start + BATCH]
            for record in await self._database.read(lambda uow: uow.data_keys.get_many(some)):  # noqa: B023
                self._take(record)

    def _sealing_key(self, realm: str | None, now: datetime) -> DataKeyRecord | None:
        known = [one for one in self._by_realm.get(realm, ()) if one.id in self._boxes]
        adopted = [one for one in known if one.created_at + ADOPT_AFTER <= now]
        if adopted:
            return adopted[-1]
        return known[0] if known else None

    def _take(self, record: DataKeyRecord) -> None:
        first = record.id not in self._records
        if first:
            self._records[record.id] = record
            of_realm = [*self._by_realm.get(record.realm, ()), record]
            self._by_realm[record.realm] = sorted(
                of_realm, key=lambda one: (one.created_at, one.id)
            )
        try:
            if record.wrapping_key not in self._wrapping.boxes:
                self._wrapping = load_wrapping_keys(self._key_file)
            self._boxes[record.id] = SecretBox(unwrap(self._wrapping, record))
        except (SecretError, KeyFileError):
            if first:
                log.error("data_key_not_opened", id=record.id, wrapped_by=record.wrapping_key)

    def _drop(self, id: str) -> None:
        record = self._records.pop(id)
        self._boxes.pop(id, None)
        self._by_realm[record.realm] = [one for one in self._by_realm[record.realm] if one.id != id]

    def _open_first_form(self, sealed: bytes, place: str) -> bytes:
        for box in self._wrapping.boxes.values():
            try:
                return box.open(sealed, place=place)
            except SecretError:
                continue
        raise SecretError("a secret that this hub's keys do not open")


def data_key_id(sealed: bytes) -> str | None:
    """Return the id of the data key a value was sealed with; None for the first form."""
    if sealed[:1] != _VERSION or len(sealed) <= 1 + _ID_BYTES:
        return None
    return str(uuid.UUID(bytes=sealed[1 : 1 + _ID_BYTES]))


def new_data_key(keys: WrappingKeys, wrapping_key: str, realm: str | None) -> DataKeyRecord:
    """Return a fresh data key, wrapped."""
    record = DataKeyRecord(clock.new_id(), realm, wrapping_key, b"", clock.now())
    return wrap(keys, wrapping_key, record, os.urandom(KEY_BYTES))


def wrap(keys: WrappingKeys, wrapping_key: str, record: DataKeyRecord, key: bytes) -> DataKeyRecord:
    """Return the record of a data key with the key wrapped by another."""
    wrapped = keys.boxes[wrapping_key].seal(key, place=_row(record.id, record.realm, wrapping_key))
    return DataKeyRecord(
        record.id, record.realm, wrapping_key, wrapped, record.created_at, record.retired_at
    )


def unwrap(keys: WrappingKeys, record: DataKeyRecord) -> bytes:
    """Return a data key.

    Raises:
        SecretError: wrapped by a key that is not among these, for another realm, or changed.
    """
    box = keys.boxes.get(record.wrapping_key)
    if box is None:
        raise SecretError(f"the key {record.wrapping_key} that wraps data keys is not in the file")
    return box.open(record.wrapped, place=_row(record.id, record.realm, record.wrapping_key))


def choose_wrapping_key(uow: UnitOfWork, keys: WrappingKeys) -> str:
    """Return the id of the key that wraps new data keys: the newest in force that is in the file.

    Raises:
        SecretError: none of those in force is.
    """
    in_force = uow.wrapping_keys.list()
    if not in_force:
        uow.wrapping_keys.add(WrappingKeyRecord(keys.present, uow.now))
        return keys.present
    for one in in_force:
        if one.id in keys.boxes:
            return one.id
    raise SecretError("the file of wrapping keys does not hold the key of this database")


def _make_first(uow: UnitOfWork, keys: WrappingKeys, realm: str | None) -> Iterable[DataKeyRecord]:
    if realm is not None and uow.realms.get(realm) is None:
        return ()
    found = uow.data_keys.of_realm(realm)
    if found:
        return found
    made = new_data_key(keys, choose_wrapping_key(uow, keys), realm)
    uow.data_keys.add(made)
    return (made,)


def _bound(key_id: str, place: str) -> str:
    return f"{key_id}\x00{place}"


def _row(id: str, realm: str | None, wrapping_key: str) -> str:
    return f"data_keys/{id}/{'' if realm is None else realm}/{wrapping_key}"
