"""New keys for a hub and new roots for a fleet, made on the machine that has the data folder.

Both need the root key, for as long as the command runs. The keys change in one step
(`controlplane.key_change`), the database follows when it is next opened, and the hub has to be
started again to serve under them. No agent is touched: each goes over by itself, because its
pinned root has signed for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from controlplane import clock
from controlplane.errors import SettingsError
from controlplane.first_start import open_hub_data
from controlplane.identity import (
    HUB_ACTIONS,
    MAX_DEPTH,
    OPERATOR_ACTIONS,
    ROOT_DELEGATIONS_FILE,
    ROTATIONS_FILE,
    HubIdentity,
    root_delegation,
)
from controlplane.key_change import change_files
from controlplane.key_files import load_private_key, save_private_bytes, save_private_key
from controlplane.settings import HubSettings
from protocol.canonical import canonical_json
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.key_rotation import MAX_ROOT_ROTATIONS, rotation_payload
from protocol.keys import PublicKey, SigningKey
from protocol.messages import dump_payload
from protocol.timestamps import format_timestamp
from storage.records import DelegationRecord

ROTATION_LIFETIME: Final = timedelta(days=3_650)
"""An agent may come back after years: it must still be able to follow its root."""


@dataclass(frozen=True, slots=True)
class RotationResult:
    """What the commands print; `renew` are delegations whose issuers must sign them again."""

    root_did: str
    hub_did: str
    before: str
    renew: tuple[DelegationRecord, ...] = ()


async def rotate_hub_key(settings: HubSettings, root_key_file: Path) -> RotationResult:
    """Give the hub a new key, named by the root; the private half of the old one is gone.

    Raises:
        SettingsError: another root's key.
        KeyFileError, NotInitialisedError, HalfInitialisedError: nothing was changed.
    """
    identity = await _present(settings)
    root = load_private_key(root_key_file, settings.passphrase)
    _check_root(root, identity)
    key = SigningKey.from_seed(os.urandom(32))
    now = clock.now()
    delegation = root_delegation(root, key.public_key, HUB_ACTIONS, max_depth=MAX_DEPTH, now=now)

    def write(folder: Path) -> None:
        save_private_key(folder / "hub.pem", key, settings.passphrase)
        save_private_bytes(folder / "hub-delegation.json", delegation.wire)

    change_files(settings.keys_dir, write)
    await _present(settings)
    return RotationResult(identity.root_did, key.public_key.did, identity.hub_did)


async def rotate_root(
    settings: HubSettings, root_key_file: Path, new_root_key_file: Path
) -> RotationResult:
    """Move the fleet to a new root that the old one names and that agrees itself.

    Hub, log, first operator and everybody else to whom the old root has delegated get the same
    from the new one. What those have passed on names the old chain, and must be signed again.

    Raises:
        SettingsError: another root's key, the same key twice, or too many rotations.
        KeyFileError, NotInitialisedError, HalfInitialisedError: nothing was changed.
    """
    identity = await _present(settings)
    old = load_private_key(root_key_file, settings.passphrase)
    new = load_private_key(new_root_key_file, settings.passphrase)
    _check_root(old, identity)
    passed = {one.public_key for one in identity.root_rotations} | {old.public_key}
    if new.public_key in passed:
        raise SettingsError("the new root is, or was, a root of this hub")
    if len(identity.root_rotations) >= MAX_ROOT_ROTATIONS:
        raise SettingsError(f"a hub tells its agents of {MAX_ROOT_ROTATIONS} rotations at most")
    now = clock.now()
    rotation = seal_document(
        type="key_rotation",
        id=clock.new_id(),
        timestamp=now,
        expires=now + ROTATION_LIFETIME,
        audience="*",
        payload=dump_payload(rotation_payload(old.public_key, new)),
        signer=old,
    )
    held = await _live_delegations(settings)
    own = {identity.hub_did, identity.log_did, identity.operator_did, *identity.former_hubs}
    others = [one for one in held if one.issuer == identity.root_did and one.subject not in own]
    renew = tuple(
        one for one in held if one.issuer != identity.root_did and not identity.is_own(one.issuer)
    )
    again = [_lend_again(new, one) for one in others]

    def write(folder: Path) -> None:
        for name, did, actions, depth in (
            ("hub", identity.hub_did, HUB_ACTIONS, MAX_DEPTH),
            ("operator", identity.operator_did, OPERATOR_ACTIONS, MAX_DEPTH),
            ("log", identity.log_did, ("writ.log",), 0),
        ):
            subject = PublicKey.parse_did(did)
            made = root_delegation(new, subject, actions, max_depth=depth, now=now)
            save_private_bytes(folder / f"{name}-delegation.json", made.wire)
        _save_list(folder / ROTATIONS_FILE, (*identity.root_rotations, rotation))
        _save_list(folder / ROOT_DELEGATIONS_FILE, again)

    change_files(settings.keys_dir, write)
    await _present(settings)
    return RotationResult(new.public_key.did, identity.hub_did, identity.root_did, renew)


async def _present(settings: HubSettings) -> HubIdentity:
    """Return the identity, the database having taken up every earlier change."""
    HubIdentity.load(settings)  # `open_hub_data` would make a hub where there is none
    identity, database, _ = await open_hub_data(settings)
    await database.close()
    return identity


async def _live_delegations(settings: HubSettings) -> list[DelegationRecord]:
    _, database, _ = await open_hub_data(settings)
    now = clock.now()
    found: list[DelegationRecord] = []
    cursor: str | None = None
    try:
        while True:
            after = cursor
            page = await database.read(
                lambda uow, after=after: uow.delegations.list(  # type: ignore[misc]
                    revoked=False, limit=200, cursor=after
                )
            )
            found += [one for one in page.items if one.expires_at > now]
            cursor = page.next_cursor
            if cursor is None:
                return found
    finally:
        await database.close()


def _lend_again(root: SigningKey, record: DelegationRecord) -> Envelope:
    now = clock.now()
    payload: dict[str, Any] = dict(parse_document(record.wire).payload)
    payload["notBefore"] = format_timestamp(max(record.not_before, now - timedelta(seconds=60)))
    return seal_document(
        type="delegation",
        id=clock.new_id(),
        timestamp=now,
        expires=record.expires_at,
        audience="*",
        payload=payload,
        signer=root,
    )


def _check_root(key: SigningKey, identity: HubIdentity) -> None:
    if key.public_key != identity.root:
        raise SettingsError(f"this is not the root's key: the root is {identity.root_did}")


def _save_list(path: Path, envelopes: Any) -> None:
    save_private_bytes(path, canonical_json([one.as_value() for one in envelopes]))
