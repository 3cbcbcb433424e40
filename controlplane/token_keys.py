"""The keys that sign tokens for other services: published before use, kept while a token lives.

A key lies in the database, its private half sealed, and becomes active at a moment that is written
beside it. So every hub process signs with the same key and publishes the same set, and a service
that keeps the set for `MAX_AGE_SECONDS` never meets a token of a key it has not seen.
"""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey
from nacl.signing import SigningKey as RawKey

from controlplane import clock
from controlplane.errors import HubError
from storage.records import TokenKeyRecord

if TYPE_CHECKING:
    from controlplane.secret_keeper import SecretKeeper
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

ALGORITHM: Final = "EdDSA"
TOKEN_SECONDS: Final = 60
MAX_AGE_SECONDS: Final = 300
"""How long a service may keep the published keys."""
PUBLISHED_BEFORE: Final = timedelta(seconds=2 * MAX_AGE_SECONDS)
KEPT_AFTER: Final = timedelta(seconds=TOKEN_SECONDS + 120)
"""How long a key is published after the next one has become active: a token's life, and clocks."""


class NoTokenKeyError(HubError):
    """No key to sign with: the database has not been asked yet."""

    code = "unavailable"


def token_key_place(key_id: str) -> str:
    """Return the place that a token key is sealed for."""
    return f"token_keys/{key_id}/private"


class TokenKeys:
    """The token keys as this process knows them."""

    def __init__(self, database: Database, secrets: SecretKeeper) -> None:
        self._database = database
        self._secrets = secrets
        self._records: Sequence[TokenKeyRecord] = ()
        self._private: dict[str, OKPKey] = {}

    @classmethod
    async def load(cls, database: Database, secrets: SecretKeeper) -> TokenKeys:
        """Return the keys in the database; the first one is made now."""
        keys = cls(database, secrets)
        now = clock.now()

        def unit(uow: UnitOfWork) -> None:
            if not uow.token_keys.list():
                add_token_key(uow, secrets, active_at=now, by="hub")

        if not await database.read(lambda uow: uow.token_keys.list()):
            await database.write(unit)
        await keys.refresh()
        return keys

    async def refresh(self) -> None:
        """Know the keys there are, and no others."""
        self._records = await self._database.read(lambda uow: uow.token_keys.list())
        known = {one.id for one in self._records}
        self._private = {id: key for id, key in self._private.items() if id in known}

    def sign(self, claims: dict[str, Any], now: datetime) -> str:
        """Return a token with these claims, signed by the key that is active now.

        Raises:
            NoTokenKeyError: there is none.
            SecretError: it does not open.
        """
        active = [one for one in self._records if one.active_at <= now]
        if not active:
            raise NoTokenKeyError("no key to sign tokens with")
        record = active[-1]
        header = {"alg": ALGORITHM, "kid": record.id, "typ": "JWT"}
        with warnings.catch_warnings():
            # RFC 9864 prefers the name `Ed25519`, which few libraries that check tokens know yet.
            warnings.simplefilter("ignore", SecurityWarning)
            return jwt.encode(header, claims, self._private_key(record), algorithms=[ALGORITHM])

    def published(self, now: datetime) -> dict[str, Any]:
        """Return the JWKS: keys to come, the active one, and those whose tokens may still live."""
        keys = [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": one.public_key,
                "kid": one.id,
                "use": "sig",
                "alg": ALGORITHM,
            }
            for one in self._records
            if not is_over(one, self._records, now)
        ]
        return {"keys": keys}

    def _private_key(self, record: TokenKeyRecord) -> OKPKey:
        key = self._private.get(record.id)
        if key is None:
            seed = self._secrets.open(record.sealed_key, place=token_key_place(record.id))
            value: dict[str, str | list[str]] = {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": record.public_key,
                "d": _base64url(seed),
            }
            key = self._private[record.id] = OKPKey.import_key(value)
        return key


def is_over(record: TokenKeyRecord, records: Sequence[TokenKeyRecord], now: datetime) -> bool:
    """Whether every token a key has signed has ended, because another key signs since long."""
    later = [one.active_at for one in records if one.active_at > record.active_at]
    return bool(later) and min(later) + KEPT_AFTER <= now


def add_token_key(
    uow: UnitOfWork, secrets: SecretKeeper, *, active_at: datetime, by: str
) -> TokenKeyRecord:
    """Make a key that signs from `active_at` on."""
    raw = RawKey(os.urandom(32))
    id = clock.new_id()
    record = TokenKeyRecord(
        id=id,
        public_key=_base64url(bytes(raw.verify_key)),
        sealed_key=secrets.seal(bytes(raw), place=token_key_place(id)),
        created_at=clock.now(),
        active_at=active_at,
    )
    uow.token_keys.add(record)
    uow.audit.append("token_key.added", by, id, {"publicKey": record.public_key})
    return record


async def rotate_token_key(
    database: Database, secrets: SecretKeeper, *, by: str, at_once: bool = False
) -> TokenKeyRecord:
    """Make the next key: it signs once every service can know it.

    Args:
        database: of the hub.
        secrets: seals it.
        by: for the record.
        at_once: it signs now, and the keys before it are forgotten: for a key that has been seen.
            Tokens of the last minute, and services that keep the old set, fail until they look.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> TokenKeyRecord:
        if at_once:
            for one in uow.token_keys.list():
                uow.token_keys.remove(one.id)
                uow.audit.append("token_key.removed", by, one.id, {})
        return add_token_key(
            uow, secrets, active_at=now if at_once else now + PUBLISHED_BEFORE, by=by
        )

    return await database.write(unit)


async def renew_token_key(
    database: Database, secrets: SecretKeeper, *, lifetime: timedelta
) -> None:
    """Make the next key when the newest is `lifetime` old, and forget those that are over."""
    now = clock.now()

    def due(records: Sequence[TokenKeyRecord]) -> tuple[bool, list[TokenKeyRecord]]:
        old = not records or records[-1].active_at + lifetime <= now
        return old, [one for one in records if is_over(one, records, now)]

    def unit(uow: UnitOfWork) -> None:
        old, over = due(uow.token_keys.list())
        if old:
            add_token_key(uow, secrets, active_at=now + PUBLISHED_BEFORE, by="hub")
        for one in over:
            uow.token_keys.remove(one.id)
            uow.audit.append("token_key.removed", "hub", one.id, {})

    old, over = due(await database.read(lambda uow: uow.token_keys.list()))
    if old or over:
        await database.write(unit)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
