"""The list of what is revoked: the hub adds, others sign lists of their own, only the root removes.

One full list is in force, the one with the highest epoch; every agent gets it before its orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controlplane import clock
from controlplane.access.authorize import Actor, authorize
from controlplane.context import Hub, OutboxKind
from controlplane.delegations.proof import check_chain, first_send_proof
from controlplane.errors import AccessDeniedError, StateConflictError
from controlplane.intents.signed import verify_submitted
from controlplane.stored_documents import document_record
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.errors import ExpiredError, WrongAudienceError
from protocol.limits import CloseCode
from protocol.messages.delegations import MAX_REVOKED, Revocations
from storage.records import RevocationsRecord
from storage.unit_of_work import UnitOfWork

REVOKE_ACTION = "writ.revoke"
SAFETY_LIFETIME = timedelta(days=365)
"""How long quarantines and revocations stay valid: they must reach agents that come back late."""
_EVERYONE = "*"


def add_revocations(
    uow: UnitOfWork,
    hub: Hub,
    actor: str,
    *,
    keys: Sequence[str],
    delegations: Sequence[str],
    now: datetime,
) -> list[str]:
    """Sign the next full list with these added, queue it for every agent; return whom to wake.

    Raises:
        StateConflictError: the list is full; only the root can shorten it.
    """
    latest = uow.revocations.latest()
    all_keys = tuple(dict.fromkeys([*(latest.keys if latest else ()), *keys]))
    all_ids = tuple(dict.fromkeys([*(latest.delegations if latest else ()), *delegations]))
    if max(len(all_keys), len(all_ids)) > MAX_REVOKED:
        raise StateConflictError("the list of revocations is full: the root must shorten it")
    epoch = 1 if latest is None else latest.epoch + 1
    envelope = seal_document(
        type="revocations",
        id=clock.new_id(),
        timestamp=now,
        expires=now + SAFETY_LIFETIME,
        audience=_EVERYONE,
        payload={"epoch": epoch, "keys": list(all_keys), "delegations": list(all_ids)},
        signer=hub.identity.hub_key,
    )
    uow.documents.put(document_record(envelope, now))
    return _put_in_force(uow, envelope, epoch, all_keys, all_ids, actor, now)


async def take_revocations(hub: Hub, actor: Actor, document: str) -> RevocationsRecord:
    """Put in force a list that an operator or the root signed; the same again changes nothing.

    Keys of agents in the list are shut out here as well; delegations are marked, or unmarked where
    the root took them off.

    Raises:
        DecodeError, VerificationError: not such a document.
        AccessDeniedError: no chain lets the signer revoke, or it takes something off without being
            the root: every agent would refuse it.
        StateConflictError: an epoch that does not exceed the one in force.
    """
    authorize(actor, "delegations.write.any")
    envelope = parse_document(document)
    payload = verify_submitted(envelope, "revocations")
    assert isinstance(payload, Revocations)
    now = clock.now()
    if envelope.audience != _EVERYONE:
        raise WrongAudienceError("a list of revocations is for everybody")
    if envelope.expires is None or now >= envelope.expires:
        raise ExpiredError("the document has expired")

    def unit(uow: UnitOfWork) -> tuple[RevocationsRecord, list[str], list[str]]:
        latest = uow.revocations.latest()
        if latest is not None and latest.document_id == envelope.id:
            return latest, [], []
        check_chain(uow, hub, envelope, payload.proof, action=REVOKE_ACTION, now=now)
        if latest is not None:
            if payload.epoch <= latest.epoch:
                raise StateConflictError(f"the epoch must be above {latest.epoch}")
            removed = set(latest.keys) - set(payload.keys)
            removed |= set(latest.delegations) - set(payload.delegations)
            if removed and envelope.public_key != hub.identity.root:
                raise AccessDeniedError("only the root takes a revocation back")
        uow.documents.put_once(document_record(envelope, now))
        told = _put_in_force(
            uow,
            envelope,
            payload.epoch,
            payload.keys,
            payload.delegations,
            actor.subject,
            now,
            proof=payload.proof or (),
        )
        before = latest.delegations if latest is not None else ()
        for delegation_id in set(payload.delegations) - set(before):
            uow.delegations.revoke(delegation_id, envelope.sender_did, now)
        for delegation_id in set(before) - set(payload.delegations):
            uow.delegations.restore(delegation_id)
        shut = []
        for did in payload.keys:
            agent = uow.agents.get(did)
            if agent is not None and agent.state != "revoked":
                uow.agents.update(did, state="revoked", updated_at=now)
                shut.append(did)
        found = uow.revocations.latest()
        assert found is not None
        return found, told, shut

    found, told, shut = await hub.database.write(unit)
    hub.agents.forget()
    for did in told:
        hub.dispatcher.wake(did)
    for did in shut:
        hub.registry.close_agent(did, code=CloseCode.REFUSED, reason="revoked")
    return found


def renew_revocations(uow: UnitOfWork, hub: Hub, now: datetime) -> list[str]:
    """Sign the list in force again by the hub's present key, where another key had signed it."""
    latest = uow.revocations.latest()
    if latest is None:
        return []
    signer = parse_document(latest.wire).public_key
    if signer in (hub.identity.root, hub.identity.hub_key.public_key):
        return []
    return add_revocations(uow, hub, "hub", keys=(), delegations=(), now=now)


def _put_in_force(
    uow: UnitOfWork,
    envelope: Envelope,
    epoch: int,
    keys: Sequence[str],
    delegations: Sequence[str],
    actor: str,
    now: datetime,
    *,
    proof: Sequence[str] = (),
) -> list[str]:
    before = uow.revocations.latest()
    record = RevocationsRecord(
        epoch=epoch,
        keys=tuple(keys),
        delegations=tuple(delegations),
        document_id=envelope.id,
        digest=envelope.digest,
        wire=envelope.wire,
        created_by=actor,
        created_at=now,
    )
    uow.revocations.add(record)
    uow.audit.append(
        "revocations.signed",
        actor,
        envelope.id,
        {"epoch": epoch, "digest": envelope.digest, "signer": envelope.sender_did},
        at=now,
    )
    told = []
    for agent in uow.agents.matching(states=("active", "quarantined")):
        if agent.did in keys:
            continue
        if before is not None:
            uow.outbox.delete_refs(agent.did, (before.document_id,))
        uow.outbox.add_first(
            agent.did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did
        )
        first_send_proof(uow, agent.did, proof)
        told.append(agent.did)
    return told
