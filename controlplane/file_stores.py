"""Which file store is in use: read at the start, tested and switched while the hub runs.

The choice stands in the database, so every hub on it follows; files stay where they were put and
are still found there (`FileStoreSuccession`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import structlog

from controlplane.access.authorize import Actor
from controlplane.errors import HubError, PreconditionError, StateConflictError
from controlplane.file_places import Place, open_place, seal_place, unseal_place
from controlplane.secret_keeper import SecretKeeper
from controlplane.settings import HubSettings
from protocol.errors import Error
from storage.database import Database
from storage.errors import ConflictError
from storage.files.base import FileStore
from storage.files.succession import FileStoreSuccession
from storage.records import SettingRecord
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

SETTING: Final = "storage"
MAX_EARLIER: Final = 8
TEST_SECONDS: Final = 30.0


class StorageTestError(HubError):
    """The store did not do in its test what it must do later; nothing was switched."""

    code = "storage_test_failed"


@dataclass(frozen=True, slots=True)
class Tested:
    """What the test of a store has shown.

    Attributes:
        ok: files can be written, read and removed there.
        code: why not.
        detail: the same for people; never a secret.
        conditional_writes: whether the server heeds conditions on writes.
        seconds: what it took.
    """

    ok: bool
    code: str | None
    detail: str | None
    conditional_writes: bool | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Storage:
    """The choice as it stands. `revision` is 0 while nothing was ever chosen."""

    present: Place
    earlier: tuple[Place, ...]
    revision: int
    updated_at: datetime | None
    updated_by: str | None


class StorageKeeper:
    """Keeps the file stores of a hub process in step with the choice in the database."""

    def __init__(
        self, settings: HubSettings, secrets: SecretKeeper, database: Database, storage: Storage
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._database = database
        self._opened: dict[Place, FileStore] = {}
        self._switching = asyncio.Lock()
        self.storage = storage
        self.files = FileStoreSuccession(*self._stores(storage))

    @classmethod
    async def load(
        cls, settings: HubSettings, secrets: SecretKeeper, database: Database
    ) -> StorageKeeper:
        """Return a keeper with the stores of the choice in the database.

        Raises:
            SecretError: credentials that this hub's secrets key does not open.
            BadFileStoreUrlError: a store that cannot be here; nothing was asked of it yet.
        """
        record = await database.read(lambda uow: uow.settings.get(SETTING))
        return cls(settings, secrets, database, _parse(secrets, record))

    async def refresh(self) -> None:
        """Follow a choice that was made through another hub process."""
        record = await self._database.read(lambda uow: uow.settings.get(SETTING))
        async with self._switching:
            if record is not None and record.revision > self.storage.revision:
                self._use(_parse(self._secrets, record))
                log.info("storage_followed", revision=record.revision)

    async def test(self, place: Place) -> Tested:
        """Return what a store does when it is written to, read and cleared; bounded in time."""
        try:
            store = open_place(self._settings, place)
        except Error as exc:
            return Tested(False, exc.code, exc.message, None, 0.0)
        try:
            return await self._probe(store)
        finally:
            await store.close()

    async def _probe(self, store: FileStore) -> Tested:
        began = time.monotonic()
        code, detail, conditional = None, None, None
        try:
            async with asyncio.timeout(TEST_SECONDS):
                await store.check()
            conditional = store.heeds_conditions
        except TimeoutError:
            code, detail = "timed_out", f"no answer in {TEST_SECONDS:.0f} seconds"
        except Error as exc:
            code, detail = exc.code, exc.message
        seconds = round(time.monotonic() - began, 3)
        return Tested(code is None, code, detail, conditional, seconds)

    async def switch(self, actor: Actor, place: Place, *, over: int, strict: bool) -> Storage:
        """Use another store from now on, after it has passed its test.

        Args:
            actor: for the record.
            place: the new one.
            over: revision of the choice that is replaced.
            strict: the caller named that revision.

        Raises:
            StorageTestError: it did not pass; everything stays as it was.
            PreconditionError, StateConflictError: the choice was changed in the meantime.
        """
        async with self._switching:
            store = self._opened.get(place) or open_place(self._settings, place)
            tested = await self._probe(store)
            if not tested.ok:
                if place not in self._opened:
                    await store.close()
                raise StorageTestError(f"{tested.detail} ({tested.code})")
            before = self.storage
            earlier = [one for one in before.earlier if one.address != place.address]
            if before.present.address != place.address:
                earlier.insert(0, before.present)
            earlier = earlier[:MAX_EARLIER]
            value = {
                "present": seal_place(self._secrets, place),
                "earlier": [seal_place(self._secrets, one) for one in earlier],
            }

            def unit(uow: UnitOfWork) -> SettingRecord:
                made = uow.settings.put(SETTING, value, by=actor.subject, revision=over)
                shown = {"url": place.url or "", "endpoint": place.endpoint or ""}
                uow.audit.append("settings.storage_changed", actor.subject, SETTING, shown)
                return made

            try:
                record = await self._database.write(unit)
            except ConflictError:
                kind = PreconditionError if strict else StateConflictError
                raise kind("the storage settings were changed in the meantime") from None
            self._opened.setdefault(place, store)
            self._use(_parse(self._secrets, record))
            return self.storage

    def _use(self, storage: Storage) -> None:
        present, earlier = self._stores(storage)
        self.files.replace(present, earlier)
        self.storage = storage

    def _stores(self, storage: Storage) -> tuple[FileStore, list[FileStore]]:
        return self._store(storage.present), [self._store(one) for one in storage.earlier]

    def _store(self, place: Place) -> FileStore:
        store = self._opened.get(place)
        if store is None:
            store = self._opened[place] = open_place(self._settings, place)
        return store


def merge_place(before: Place, changes: dict[str, Any]) -> Place:
    """Return `before` with the fields that were given; a new URL starts from nothing.

    Credentials stay only where the server stays: they are never shown to another one.
    """
    if changes.get("url", before.url) != before.url:
        same_server = before.endpoint is not None and changes.get("endpoint", "") == before.endpoint
        before = Place(credentials=before.credentials if same_server else None)
    elif changes.get("endpoint", before.endpoint) != before.endpoint:
        before = replace(before, credentials=None)
    return replace(before, **changes)


def _parse(secrets: SecretKeeper, record: SettingRecord | None) -> Storage:
    if record is None:
        return Storage(Place(), (), 0, None, None)
    return Storage(
        present=unseal_place(secrets, record.value["present"]),
        earlier=tuple(unseal_place(secrets, one) for one in record.value["earlier"]),
        revision=record.revision,
        updated_at=record.updated_at,
        updated_by=record.updated_by,
    )
