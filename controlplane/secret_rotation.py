"""New keys for secrets at rest, while the hubs run.

A new wrapping key wraps the data keys again; what is sealed stays as it is. New data keys are made
too when asked for, and every value is sealed anew. Each step can be broken off and run again, by
this process or another: what is done is seen from the file and the database, not remembered.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controlplane import clock, faults
from controlplane.errors import SettingsError, StateConflictError
from controlplane.first_start import open_hub_data
from controlplane.identity import HubIdentity
from controlplane.key_change import change_files
from controlplane.key_files import save_private_bytes
from controlplane.sealed_values import reseal
from controlplane.secret_keeper import (
    ADOPT_AFTER,
    BATCH,
    SecretKeeper,
    new_data_key,
    unwrap,
    wrap,
)
from controlplane.settings import SECRETS_KEY_FILE, HubSettings
from controlplane.wrapping_keys import (
    KEY_BYTES,
    WrappingKeys,
    format_wrapping_keys,
    load_raw_keys,
    load_wrapping_keys,
)
from protocol.timestamps import format_timestamp, parse_timestamp
from storage.errors import ConflictError
from storage.records import DataKeyRecord, WrappingKeyRecord

if TYPE_CHECKING:
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

SETTING: Final = "secrets_rotation"
"""While data keys are being replaced: when that began."""
RETIRED_FOR: Final = timedelta(hours=2)
"""How long a replaced data key still opens: longer than an upload ticket lives."""
_LOCK_FILE: Final = "rotation.lock"
_TRIES: Final = 5
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SecretsRotation:
    """What the command prints. `unreadable` values were sealed by keys that are not there."""

    wrapping_key: str
    rewrapped: int
    data_keys: int
    resealed: int
    unreadable: int


async def rotate_secrets(
    settings: HubSettings, *, data_keys: bool = False, report: Report = lambda _: None
) -> SecretsRotation:
    """Wrap every data key with a new wrapping key; with `data_keys` replace those as well.

    The new wrapping key is made here and put into the data folder, or is the first one in
    `settings.secrets_key_file`, which is only read. Running hubs are not disturbed.

    Raises:
        SettingsError: the file that was named holds no new key.
        StateConflictError: another rotation runs in this data folder.
        SecretError: a data key that none of the keys opens; nothing of it was changed.
        NotInitialisedError, KeyFileError, UnavailableError: nothing was changed.
    """
    HubIdentity.load(settings)  # `open_hub_data` would make a hub where there is none
    async with _alone(settings.keys_dir):
        _, database, _ = await open_hub_data(settings)
        try:
            secrets = await SecretKeeper.load(settings.effective_secrets_key_file, database)
            keys = await _new_wrapping_key(settings, database, rotates_data=data_keys)
            report(f"wrapping data keys with {keys.present}")
            rewrapped = await _rewrap(database, keys)
            made = await _replace_data_keys(database, keys, report) if data_keys else 0
            await secrets.refresh()
            done = await reseal(database, secrets, report=lambda n: report(f"{n} sealed anew"))
            if data_keys:
                await _end_rotation(database)
                faults.reach("secrets_keys_retired")
            await _forget_old_wrapping_keys(settings, database, keys)
            return SecretsRotation(keys.present, rewrapped, made, done.changed, done.unreadable)
        finally:
            await database.close()


async def destroy_retired(database: Database, secrets: SecretKeeper) -> int:
    """Destroy data keys that were replaced a while ago and that no value names; return how many."""
    before = clock.now() - RETIRED_FOR
    due = await database.read(lambda uow: uow.data_keys.retired_before(before, BATCH))
    if not due:
        return 0
    # A hub that could not look for a while may have sealed with one of them to the end.
    in_use = (await reseal(database, secrets)).keys_in_use

    def unit(uow: UnitOfWork) -> int:
        unused = [one for one in due if one.id not in in_use]
        for one in unused:
            uow.data_keys.destroy(one.id)
        return len(unused)

    return await database.write(unit)


@asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[None]:
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise StateConflictError("another rotation of secrets runs in this folder") from exc
        yield
    finally:
        os.close(descriptor)


# --- wrapping keys ---


async def _new_wrapping_key(
    settings: HubSettings, database: Database, *, rotates_data: bool
) -> WrappingKeys:
    """Return the keys of the file, the first of them in force and new unless only data rotates."""
    path = settings.effective_secrets_key_file
    keys = load_wrapping_keys(path)
    in_force = await database.read(lambda uow: uow.wrapping_keys.list())
    # Both in force, or the new one only in the file: a rotation was broken off. Go on with it.
    fresh = len(in_force) > 1 or keys.present not in {one.id for one in in_force}
    if not fresh and settings.secrets_key_file is None:
        raw = [os.urandom(KEY_BYTES), *load_raw_keys(path)]
        _write_keys(settings, raw)
        keys = load_wrapping_keys(path)
        faults.reach("secrets_key_written")
    elif not fresh and not rotates_data:
        raise SettingsError(
            f"{path} holds no new key: put one on its first line on every hub's machine, such as "
            "`openssl rand -base64 32` makes, and leave the others behind it"
        )
    record = WrappingKeyRecord(keys.present, clock.now())

    def unit(uow: UnitOfWork) -> None:
        if uow.wrapping_keys.add(record):
            uow.audit.append("secrets.wrapping_key_replaced", "console", record.id, {})

    await database.write(unit)
    faults.reach("secrets_key_in_force")
    return keys


async def _rewrap(database: Database, keys: WrappingKeys) -> int:
    """Have every data key wrapped by the present key; return how many were not."""
    count = 0
    while some := await database.read(
        lambda uow: uow.data_keys.wrapped_by_others(keys.present, BATCH)
    ):
        pairs = [(one, wrap(keys, keys.present, one, unwrap(keys, one))) for one in some]

        def unit(uow: UnitOfWork, pairs: Sequence[tuple[DataKeyRecord, DataKeyRecord]]) -> int:
            return sum(
                uow.data_keys.rewrap(one, made.wrapping_key, made.wrapped) for one, made in pairs
            )

        count += await database.write(lambda uow, pairs=pairs: unit(uow, pairs))  # type: ignore[misc]
        faults.reach("secrets_batch_rewrapped")
    return count


async def _forget_old_wrapping_keys(
    settings: HubSettings, database: Database, keys: WrappingKeys
) -> None:
    """Take the earlier wrapping keys out of the database, and then out of the data folder."""

    def unit(uow: UnitOfWork) -> None:
        for one in uow.wrapping_keys.list():
            if one.id != keys.present:
                uow.wrapping_keys.remove(one.id)

    for attempt in range(_TRIES):
        await _rewrap(database, keys)
        try:
            await database.write(unit)
        except ConflictError:
            # A hub has just made a data key under the old one: wrap that one too.
            if attempt + 1 == _TRIES:
                raise
            continue
        break
    faults.reach("secrets_old_key_forgotten")
    if settings.secrets_key_file is None and len(keys.boxes) > 1:
        _write_keys(settings, load_raw_keys(settings.effective_secrets_key_file)[:1])


def _write_keys(settings: HubSettings, raw: list[bytes]) -> None:
    content = format_wrapping_keys(raw)
    change_files(
        settings.keys_dir, lambda folder: save_private_bytes(folder / SECRETS_KEY_FILE, content)
    )


# --- data keys ---


async def _replace_data_keys(database: Database, keys: WrappingKeys, report: Report) -> int:
    """Make a new data key beside each of before this rotation; return how many were made.

    Afterwards every hub seals with the new ones.
    """
    began = await _begin_rotation(database)
    made: list[DataKeyRecord] = []
    while some := await database.read(lambda uow: uow.data_keys.realms_without_since(began, BATCH)):
        fresh = [new_data_key(keys, keys.present, realm) for realm in some]
        try:
            await database.write(lambda uow, fresh=fresh: [uow.data_keys.add(o) for o in fresh])  # type: ignore[misc]
        except ConflictError:
            continue  # a realm has gone in this moment: look again
        made += fresh
        faults.reach("secrets_data_keys_made")
    report(f"{len(made)} new data keys; waiting until every hub knows them")
    newest = max((one.created_at for one in made), default=began)
    wait = newest + ADOPT_AFTER + timedelta(seconds=1) - clock.now()
    await asyncio.sleep(max(0.0, wait.total_seconds()))
    return len(made)


async def _begin_rotation(database: Database) -> datetime:
    now = clock.now()

    def unit(uow: UnitOfWork) -> datetime:
        found = uow.settings.get(SETTING)
        if found is not None:
            return parse_timestamp(found.value["began"])
        uow.settings.put(SETTING, {"began": format_timestamp(now)}, by="console")
        uow.audit.append("secrets.data_keys_replaced", "console", SETTING, {}, at=now)
        return now

    return await database.write(unit)


async def _end_rotation(database: Database) -> None:
    """Retire the data keys that a rotation has replaced; it is over then."""
    now = clock.now()

    def unit(uow: UnitOfWork) -> None:
        found = uow.settings.get(SETTING)
        if found is not None:
            uow.data_keys.retire(made_before=parse_timestamp(found.value["began"]), at=now)
            uow.settings.delete(SETTING)

    await database.write(unit)
