"""From an empty folder to a hub that can be used: keys, realm, first admin, one API key.

Keys come first and in one piece; the database follows in one transaction. Broken off anywhere,
the next start sees how far it came: keys without rows are completed, rows without their keys are
refused (`HalfInitialisedError`), because new keys would orphan every agent.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from controlplane import clock
from controlplane.access.api_keys import SHOWN_CHARS, api_key_hash, new_api_key
from controlplane.errors import HalfInitialisedError
from controlplane.identity import HubIdentity, make_identity
from controlplane.key_files import make_private_folder
from controlplane.settings import HubSettings
from controlplane.stored_documents import delegation_record, document_record
from controlplane.succession import (
    IDENTITY_SETTING,
    adopt_identity,
    check_successor,
    identity_value,
    is_known,
    with_former_hubs,
)
from storage.database import Database
from storage.records import (
    ApiKeyRecord,
    RealmRecord,
    UserRecord,
)
from storage.unit_of_work import UnitOfWork

DEFAULT_REALM: Final = "default"
FIRST_ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class InitResult:
    """What `writ hub init` prints. `api_key` is None when the hub was there already."""

    root_did: str
    hub_did: str
    root_key_file: Path
    operator_did: str
    operator_key_file: Path
    data_dir: Path
    api_key: str | None


async def init_hub(settings: HubSettings) -> InitResult:
    """Make the hub of `settings`, or finish or find one; afterwards `open_hub_data` succeeds.

    Raises:
        HalfInitialisedError: keys and database do not belong together.
        KeyFileError: a key file that cannot be read, written or trusted.
        UnavailableError, MigrationError: the database cannot be used.
    """
    identity, database, api_key = await open_hub_data(settings)
    await database.close()
    root_key_file = settings.root_key_file or settings.keys_dir / "root.pem"
    return InitResult(
        root_did=identity.root_did,
        hub_did=identity.hub_did,
        root_key_file=root_key_file.absolute(),
        operator_did=identity.operator_did,
        operator_key_file=(settings.keys_dir / "operator.pem").absolute(),
        data_dir=settings.data_dir.absolute(),
        api_key=api_key,
    )


async def open_hub_data(settings: HubSettings) -> tuple[HubIdentity, Database, str | None]:
    """Return identity and open database, made now when they were not there.

    The third is the first admin's API key, only in the call that made it.
    """
    fresh = not settings.keys_dir.exists()
    if fresh:
        await _refuse_foreign_database(settings)
        identity = make_identity(settings)
    else:
        identity = HubIdentity.load(settings)
    database = await Database.open(settings.effective_database_url, now=clock.now)
    try:
        known = await database.read(_known_identity)
        if isinstance(known, dict):
            if not is_known(known, identity):
                check_successor(known, identity)
                now, before = clock.now(), known
                await database.write(lambda uow: adopt_identity(uow, before, identity, now))
                known = await database.read(_known_identity)
                assert isinstance(known, dict)
            return with_former_hubs(identity, known), database, None
        api_key = new_api_key()
        now = clock.now()
        await database.write(lambda uow: _write_first_rows(uow, identity, api_key, now))
    except BaseException:
        await database.close()
        raise
    return identity, database, api_key


async def new_admin_key(settings: HubSettings, name: str) -> str:
    """Return a fresh API key of the first admin, for whoever holds the data folder.

    Raises:
        NotInitialisedError, HalfInitialisedError: there is no finished hub.
    """
    HubIdentity.load(settings)
    database = await Database.open(settings.effective_database_url, now=clock.now)
    try:
        api_key = new_api_key()
        now = clock.now()

        def unit(uow: UnitOfWork) -> None:
            admin = uow.users.get_by_name(FIRST_ADMIN)
            if admin is None:
                raise HalfInitialisedError("this database has no first admin")
            uow.api_keys.add(key_record(api_key, name, admin.id, "console", now))
            uow.audit.append("api_key.created", "console", f"user:{admin.id}", {}, at=now)

        await database.write(unit)
    finally:
        await database.close()
    return api_key


def key_record(
    api_key: str, name: str, user_id: str | None, created_by: str, now: datetime
) -> ApiKeyRecord:
    """Return the record of a new key without scopes; the key itself is not in it."""
    return ApiKeyRecord(
        id=clock.new_id(),
        name=name,
        hash=api_key_hash(api_key),
        created_by=created_by,
        created_at=now,
        prefix=api_key[:SHOWN_CHARS],
        user_id=user_id,
        issuer_id=user_id,
    )


async def _refuse_foreign_database(settings: HubSettings) -> None:
    """Raise when there are no keys here but the database already knows a hub."""
    url = settings.effective_database_url
    make_private_folder(settings.data_dir)
    if url.startswith("sqlite") and not os.path.exists(url.partition(":///")[2]):  # noqa: ASYNC240
        return
    database = await Database.open(url, now=clock.now)
    try:
        known = await database.read(_known_identity)
    finally:
        await database.close()
    if known is not None:
        raise HalfInitialisedError(
            f"the database belongs to a hub whose keys are not in {settings.keys_dir}"
        )


def _known_identity(uow: UnitOfWork) -> object:
    setting = uow.settings.get(IDENTITY_SETTING)
    return None if setting is None else setting.value


def _write_first_rows(uow: UnitOfWork, identity: HubIdentity, api_key: str, now: datetime) -> None:
    uow.settings.put(IDENTITY_SETTING, identity_value(identity), at=now, by="hub")
    uow.realms.add(RealmRecord(DEFAULT_REALM, now, now, created_by="hub"))
    admin_id = clock.new_id()
    uow.users.add(
        UserRecord(
            id=admin_id,
            name=FIRST_ADMIN,
            created_at=now,
            updated_at=now,
            roles=("owner",),
            operator_did=identity.operator_did,
        )
    )
    uow.api_keys.add(key_record(api_key, "first key", admin_id, "hub", now))
    for envelope, source in (
        (identity.hub_delegation, "hub"),
        (identity.log_delegation, "log"),
        (identity.operator_delegation, "operator"),
    ):
        uow.documents.put(document_record(envelope, now))
        uow.delegations.add(delegation_record(envelope, source=source, created_by="hub", now=now))
        uow.audit.append(
            "delegation.issued",
            identity.root_did,
            envelope.id,
            {"digest": envelope.digest, "subject": str(envelope.payload["subject"])},
            at=now,
        )
    uow.audit.append(
        "hub.initialised",
        identity.root_did,
        identity.hub_did,
        {**identity_value(identity), "operator": identity.operator_did, "admin": admin_id},
        at=now,
    )
