"""The hub's own keys and its delegations from the root, as they lie in the data folder.

Owns `keys/`: made in one piece under another name and renamed into place, so that it is there
whole or not at all. It does not know the database; `controlplane.first_start` joins the two.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from controlplane import clock
from controlplane.errors import HalfInitialisedError, NotInitialisedError
from controlplane.key_change import finish_change
from controlplane.key_files import (
    load_private_key,
    make_private_folder,
    save_private_bytes,
    save_private_key,
    sync_folder,
)
from controlplane.settings import SECRETS_KEY_FILE, HubSettings
from controlplane.wrapping_keys import KEY_BYTES
from protocol.envelope import Envelope, envelope_from_value, parse_document, seal_document
from protocol.errors import Error
from protocol.key_rotation import verify_root_rotations
from protocol.keys import PublicKey, Signer, SigningKey
from protocol.strict_json import parse_strict_json
from protocol.timestamps import format_timestamp

HUB_LIFETIME: Final = timedelta(days=2 * 365)
"""How long the root trusts the hub, the log and the first operator before it must sign anew."""
HUB_ACTIONS: Final = (
    "*",
    "writ.route",
    "writ.policy",
    "writ.cancel",
    "writ.approve",
    "writ.revoke",
    "writ.quarantine",
    "writ.configure",
)
OPERATOR_ACTIONS: Final = tuple(action for action in HUB_ACTIONS if action != "writ.route")
MAX_DEPTH: Final = 3
ROTATIONS_FILE: Final = "root-rotations.json"
ROOT_DELEGATIONS_FILE: Final = "root-delegations.json"
_UNFINISHED: Final = "keys.unfinished"


@dataclass(frozen=True, slots=True)
class HubIdentity:
    """Who this hub is. Private keys stay inside: `repr` shows DIDs only."""

    root: PublicKey
    hub_key: SigningKey = field(repr=False)
    log_key: SigningKey = field(repr=False)
    hub_delegation: Envelope = field(repr=False)
    log_delegation: Envelope = field(repr=False)
    operator_delegation: Envelope = field(repr=False)
    former_hubs: frozenset[str] = frozenset()
    """DIDs of earlier keys of this hub: documents made before the change still name them."""
    root_rotations: tuple[Envelope, ...] = field(default=(), repr=False)
    """From the first root to the present one, oldest first; told to every agent in `hello`."""

    root_delegations: tuple[Envelope, ...] = field(default=(), repr=False)
    """What the present root signed again for others, in place of the root before it."""

    def addressee(self, audience: str) -> str:
        """Return the DID a document must name: this hub's, or the former one that it does name."""
        return audience if audience in self.former_hubs else self.hub_did

    def is_own(self, did: str) -> bool:
        """Whether a DID is, or was, this hub's."""
        return did == self.hub_did or did in self.former_hubs

    @property
    def root_did(self) -> str:
        """The DID every agent of this hub pins."""
        return self.root.did

    @property
    def hub_did(self) -> str:
        """The DID of the key that signs frames and orders."""
        return self.hub_key.public_key.did

    @property
    def log_did(self) -> str:
        """The DID of the key that signs checkpoints of the record."""
        return self.log_key.public_key.did

    @property
    def operator_did(self) -> str:
        """The DID of the first admin's own key."""
        return str(self.operator_delegation.payload["subject"])

    @classmethod
    def load(cls, settings: HubSettings) -> HubIdentity:
        """Return the identity in the data folder.

        Raises:
            NotInitialisedError: there is none.
            HalfInitialisedError: some of it is missing, or does not belong together.
            KeyFileError: a key file that must not be trusted as it lies.
        """
        folder = settings.keys_dir
        if not folder.is_dir():
            raise NotInitialisedError(f"no hub in {settings.data_dir}; run `writ hub init`")
        finish_change(folder)
        hub_key = load_private_key(folder / "hub.pem", settings.passphrase)
        log_key = load_private_key(folder / "log.pem", settings.passphrase)
        hub_delegation = _load_delegation(folder / "hub-delegation.json")
        log_delegation = _load_delegation(folder / "log-delegation.json")
        operator_delegation = _load_delegation(folder / "operator-delegation.json")
        root = hub_delegation.public_key
        belongs = (
            hub_delegation.payload.get("subject") == hub_key.public_key.did
            and log_delegation.payload.get("subject") == log_key.public_key.did
            and log_delegation.public_key == root
            and operator_delegation.public_key == root
        )
        if not belongs:
            raise HalfInitialisedError(f"the keys and delegations in {folder} do not fit together")
        return cls(
            root=root,
            hub_key=hub_key,
            log_key=log_key,
            hub_delegation=hub_delegation,
            log_delegation=log_delegation,
            operator_delegation=operator_delegation,
            root_rotations=_load_rotations(folder / ROTATIONS_FILE, root),
            root_delegations=_load_list(folder / ROOT_DELEGATIONS_FILE),
        )


def make_identity(settings: HubSettings) -> HubIdentity:
    """Make every key and delegation of a new hub; afterwards `keys/` is there whole.

    The root key signs three delegations and is then no longer needed by the hub. It is made as
    `keys/root.pem`, or taken from `settings.root_key_file`, which is read and left where it lies.
    What a broken-off attempt left behind was never used, and is thrown away.

    Raises:
        KeyFileError: the given root key cannot be read or trusted, or the folder not be written.
    """
    make_private_folder(settings.data_dir)
    unfinished = settings.data_dir / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    passphrase = settings.passphrase
    if settings.root_key_file is not None:
        root = load_private_key(settings.root_key_file, passphrase)
    else:
        root = _new_key()
        save_private_key(unfinished / "root.pem", root, passphrase)
    moment = clock.now()
    for name, actions, depth in (
        ("hub", HUB_ACTIONS, MAX_DEPTH),
        ("operator", OPERATOR_ACTIONS, MAX_DEPTH),
        ("log", ("writ.log",), 0),
    ):
        key = _new_key()
        save_private_key(unfinished / f"{name}.pem", key, passphrase)
        delegation = root_delegation(root, key.public_key, actions, max_depth=depth, now=moment)
        save_private_bytes(unfinished / f"{name}-delegation.json", delegation.wire)
    if settings.secrets_key_file is None:
        save_private_bytes(unfinished / SECRETS_KEY_FILE, os.urandom(KEY_BYTES))
    sync_folder(unfinished)
    unfinished.rename(settings.keys_dir)
    sync_folder(settings.data_dir)
    return HubIdentity.load(settings)


def root_delegation(
    root: Signer, subject: PublicKey, actions: Sequence[str], *, max_depth: int, now: datetime
) -> Envelope:
    """Return a delegation straight from the root, valid from `now` for `HUB_LIFETIME`."""
    return seal_document(
        type="delegation",
        id=clock.new_id(),
        timestamp=now,
        expires=now + HUB_LIFETIME,
        audience="*",
        payload={
            "subject": subject.did,
            "capabilities": [{"action": action} for action in actions],
            "conditions": [],
            "notBefore": format_timestamp(now),
            "maxDepth": max_depth,
            "parent": None,
        },
        signer=root,
    )


def _new_key() -> SigningKey:
    return SigningKey.from_seed(os.urandom(32))


def _load_delegation(path: Path) -> Envelope:
    try:
        envelope = parse_document(path.read_bytes())
    except (OSError, Error) as exc:
        raise HalfInitialisedError(f"{path.name} is missing or unreadable") from exc
    if envelope.type != "delegation":
        raise HalfInitialisedError(f"{path.name} is not a delegation")
    return envelope


def _load_rotations(path: Path, root: PublicKey) -> tuple[Envelope, ...]:
    rotations = _load_list(path)
    try:
        if rotations and verify_root_rotations(rotations[0].public_key, rotations) == root:
            return rotations
    except Error as exc:
        raise HalfInitialisedError(f"{path.name} is unreadable") from exc
    if rotations:
        raise HalfInitialisedError(f"{path.name} does not lead to the root of the hub's delegation")
    return ()


def _load_list(path: Path) -> tuple[Envelope, ...]:
    if not path.exists():
        return ()
    try:
        values = parse_strict_json(path.read_bytes())
        if isinstance(values, list):
            return tuple(envelope_from_value(value) for value in values)
    except (OSError, Error) as exc:
        raise HalfInitialisedError(f"{path.name} is unreadable") from exc
    raise HalfInitialisedError(f"{path.name} is no list")


def public_names(identity: HubIdentity) -> dict[str, object]:
    """Return what `/.well-known/writ.json` says: DIDs and protocol versions."""
    return {
        "root": identity.root_did,
        "hub": identity.hub_did,
        "log": identity.log_did,
        "versions": ["v1"],
    }
