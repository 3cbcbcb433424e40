"""When the keys of a hub have changed: what the database must learn before the hub serves.

The keys on disk are the truth, the database follows. A new hub key is believed because the same
root has named it; a new root because the old one has, in a chain of signed rotations. Anything
else is another hub's folder.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from controlplane.errors import HalfInitialisedError
from controlplane.identity import HubIdentity
from controlplane.stored_documents import delegation_record, document_record
from protocol.keys import PublicKey, fingerprint
from storage.unit_of_work import UnitOfWork

IDENTITY_SETTING: Final = "hub.identity"
MEND_SETTING: Final = "hub.mend"
"""Set while the hub must look through what its former keys have signed (`controlplane.mending`)."""


def identity_value(identity: HubIdentity) -> dict[str, Any]:
    """Return what the database remembers of an identity."""
    return {"root": identity.root_did, "hub": identity.hub_did, "log": identity.log_did}


def is_known(known: dict[str, Any], identity: HubIdentity) -> bool:
    """Whether the database already belongs to these keys, and has their delegations."""
    return (
        all(known.get(name) == did for name, did in identity_value(identity).items())
        and known.get("delegation", identity.hub_delegation.id) == identity.hub_delegation.id
    )


def with_former_hubs(identity: HubIdentity, known: dict[str, Any]) -> HubIdentity:
    """Return the identity with the hub keys that came before."""
    return replace(identity, former_hubs=frozenset(known.get("former", ())))


def check_successor(known: dict[str, Any], identity: HubIdentity) -> None:
    """Return when these keys may follow the ones the database knows.

    Raises:
        HalfInitialisedError: another hub's keys, or ones that were changed already.
    """
    roots = {one.sender_did for one in identity.root_rotations}
    if identity.root_did != known["root"] and known["root"] not in roots:
        raise HalfInitialisedError("this database belongs to a hub with other keys")
    if identity.log_did != known["log"]:
        raise HalfInitialisedError("this database belongs to a hub with another log key")
    if identity.hub_did in known.get("former", ()):
        raise HalfInitialisedError("this hub key has made way for another: restore the newer keys")


def adopt_identity(
    uow: UnitOfWork, known: dict[str, Any], identity: HubIdentity, now: datetime
) -> None:
    """Write the delegations of new keys, remember the old, and note what is left to mend."""
    former = list(known.get("former", ()))
    if known["hub"] != identity.hub_did:
        former.append(known["hub"])
    value = {**identity_value(identity), "former": former}
    value["delegation"] = identity.hub_delegation.id
    uow.settings.put(IDENTITY_SETTING, value, at=now, by="hub")
    uow.settings.put(MEND_SETTING, True, at=now, by="hub")
    for envelope, source in (
        (identity.hub_delegation, "hub"),
        (identity.log_delegation, "log"),
        (identity.operator_delegation, "operator"),
        *((one, "operator") for one in identity.root_delegations),
    ):
        if uow.delegations.get(envelope.id) is not None:
            continue
        uow.documents.put_once(document_record(envelope, now))
        uow.delegations.add(delegation_record(envelope, source=source, created_by="hub", now=now))
        uow.audit.append(
            "delegation.issued",
            identity.root_did,
            envelope.id,
            {"digest": envelope.digest, "subject": str(envelope.payload["subject"])},
            at=now,
        )
    if known["root"] != identity.root_did:
        _forget_old_root(uow, known["root"], identity.root, now)
    uow.audit.append("hub.keys_changed", identity.root_did, identity.hub_did, value, at=now)


def _forget_old_root(uow: UnitOfWork, old: str, root: PublicKey, now: datetime) -> None:
    """Mark what hung on the old root, and show every agent's fingerprint under the new one."""
    cursor: str | None = None
    while True:
        page = uow.delegations.list(issuer=old, revoked=False, limit=200, cursor=cursor)
        for one in page.items:
            uow.delegations.revoke(one.id, "root_rotation", now)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    for agent in uow.agents.matching(states=("active", "quarantined")):
        shown = fingerprint(root, PublicKey.parse_did(agent.did))
        uow.agents.update(agent.did, fingerprint=shown)
