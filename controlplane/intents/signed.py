"""Orders that somebody else signed: the hub checks what it can, stores and routes the exact bytes.

Whether the signer may order this is the agent's to judge. The hub keeps the delegations that came
along and sends those the order names before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from controlplane import clock
from controlplane.access.authorize import Actor, authorize_one
from controlplane.context import Hub, OutboxKind
from controlplane.errors import HiddenError, InvalidFieldError, StateConflictError
from controlplane.intents.people import in_whose_name
from controlplane.intents.service import announce
from controlplane.intents.submission import Batch
from controlplane.intents.targets import check_realm
from controlplane.stored_documents import delegation_record, document_record
from protocol import limits
from protocol.audit_leaf import Assurance
from protocol.delegation import verify_link
from protocol.envelope import Envelope, parse_document
from protocol.errors import (
    BadSignatureError,
    Error,
    ExpiredError,
    ForbiddenTypeError,
    FutureError,
    IdReuseError,
)
from protocol.messages.intents import Intent
from protocol.messages.registry import parse_payload
from storage.records import IntentRecord
from storage.unit_of_work import UnitOfWork

MAX_DELEGATIONS = 16


async def submit_signed(hub: Hub, actor: Actor, document: str, delegations: Sequence[str]) -> Batch:
    """Take a signed `intent` in; the same bytes again get the first answer, however late.

    Raises:
        DecodeError, VerificationError: not a document the agent would take (SPEC section 3).
        IdReuseError: the signer used this id for other bytes.
        HiddenError, AccessDeniedError, StateConflictError: as for any order.
    """
    envelope = parse_document(document)
    now = clock.now()
    intent = verify_submitted(envelope, "intent")
    assert isinstance(intent, Intent)
    assert envelope.expires is not None
    if envelope.timestamp - limits.DOCUMENT_SKEW > now:
        raise FutureError("signed in the future")
    links = [_parse_link(text, index) for index, text in enumerate(delegations)]
    agent = await hub.agents.find(envelope.audience)
    if agent is None:
        raise HiddenError("no such agent")
    authorize_one(actor, "intents.submit", agent.realms, see="agents.read")
    check_realm(actor, intent.realm)
    if now >= envelope.expires:
        # One that was taken in time is not turned down for being asked for again late.
        known = await hub.database.read(lambda uow: _known(uow, envelope))
        if known is None:
            raise ExpiredError("the order has expired")
        return Batch(known.batch_id, (known,))
    if agent.state == "revoked":
        raise StateConflictError("this agent is revoked")
    record = IntentRecord(
        id=envelope.id,
        batch_id=intent.batch_id or envelope.id,
        agent_did=agent.did,
        agent_name=agent.name,
        action=intent.action,
        params=intent.params,
        realm=intent.realm,
        submitted_by=actor.subject,
        signer=envelope.sender_did,
        digest=envelope.digest,
        created_at=now,
        expires_at=envelope.expires,
        timeout_seconds=intent.timeout_seconds,
        on_behalf_of=intent.on_behalf_of,
        not_before=intent.not_before,
        delegation_ids=tuple(intent.proof or ()),
    )

    def unit(uow: UnitOfWork) -> IntentRecord | None:
        if not uow.documents.put_once(document_record(envelope, now)):
            return uow.intents.get(envelope.id)
        keep_presented(uow, links, actor.subject, root_did=hub.identity.root_did)
        _send_proof(uow, agent.did, record.delegation_ids)
        for link in links:
            # What is lent to the receiver itself, to order on with: it needs it before the order.
            if link.payload["subject"] == agent.did:
                uow.outbox.add(agent.did, OutboxKind.DELEGATION, link.id, link.wire)
        uow.intents.add_many([record])
        uow.outbox.add(agent.did, OutboxKind.INTENT, record.id, signer=record.signer)
        represented = in_whose_name(record, actor)
        uow.audit.append(
            "intent.submitted",
            actor.subject,
            record.id,
            {
                "digest": record.digest,
                "agent": record.agent_did,
                "action": record.action,
                "realm": record.realm,
                "signer": record.signer,
                "batchId": record.batch_id,
                **represented,
            },
            realms=(record.realm,),
            assurance=Assurance.ATTRIBUTED if represented else None,
            at=now,
        )
        return None

    earlier = await hub.database.write(unit)
    if earlier is not None:
        return Batch(earlier.batch_id, (earlier,))
    hub.metrics.submissions.inc()
    announce(hub, (record,))
    hub.dispatcher.wake(agent.did)
    return Batch(record.batch_id, (record,))


def _known(uow: UnitOfWork, envelope: Envelope) -> IntentRecord | None:
    """Return the order that these very bytes have made, or None."""
    if uow.documents.seen_digest(envelope.sender_did, envelope.id) != envelope.digest:
        return None
    return uow.intents.get(envelope.id)


def verify_submitted(envelope: Envelope, expected_type: str) -> object:
    """Return the payload of a document of `expected_type` whose signature holds.

    Raises:
        ForbiddenTypeError, BadSignatureError, BadPayloadError: it is none.
    """
    if envelope.type != expected_type:
        raise ForbiddenTypeError(f"send a document of type {expected_type}")
    envelope.public_key.verify(envelope.signature, envelope.signed_bytes)
    return parse_payload(envelope.type, envelope.payload)


def keep_presented(uow: UnitOfWork, links: Sequence[Envelope], by: str, *, root_did: str) -> None:
    """Keep those of the delegations that lead to the root by links kept; in whatever order.

    Others are dropped: what is kept goes to agents, and counts when it is asked who may approve.
    Whether a link lies inside its parent is the agent's to judge.
    """
    waiting = list(links)
    while waiting:
        left = [one for one in waiting if not _leads_to_root(uow, one, root_did)]
        for one in waiting:
            if one not in left:
                keep_delegation(uow, one, by)
        if len(left) == len(waiting):
            return
        waiting = left


def _leads_to_root(uow: UnitOfWork, envelope: Envelope, root_did: str) -> bool:
    parent_digest = envelope.payload["parent"]
    if parent_digest is None:
        return envelope.sender_did == root_did
    parent = uow.delegations.get_by_digest(str(parent_digest))
    return parent is not None and parent.subject == envelope.sender_did and parent.max_depth > 0


def keep_delegation(uow: UnitOfWork, envelope: Envelope, by: str) -> bool:
    """Keep a verified delegation; False when it was held already.

    Raises:
        IdReuseError: another delegation is kept under its id.
    """
    known = uow.delegations.get(envelope.id)
    if known is not None:
        if known.digest != envelope.digest:
            raise IdReuseError("another delegation is kept under this id")
        return False
    uow.documents.put_once(document_record(envelope, uow.now))
    record = delegation_record(envelope, source="presented", created_by=by, now=uow.now)
    uow.delegations.add(record)
    uow.audit.append(
        "delegation.presented",
        by,
        envelope.id,
        {"digest": envelope.digest, "subject": str(envelope.payload["subject"])},
        realms=record.realms_named,
    )
    return True


def _send_proof(uow: UnitOfWork, agent_did: str, proof: Sequence[str]) -> None:
    """Queue the delegations an order names, before it, unless the agent has said it holds them."""
    if not proof:
        return
    acked = uow.documents.acks(agent_did)
    for delegation_id in proof:
        held = acked.get(delegation_id)
        if held is not None and held.state == "accepted":
            continue
        delegation = uow.delegations.get(delegation_id)
        if delegation is not None:
            uow.outbox.add(agent_did, OutboxKind.DELEGATION, delegation.id, delegation.wire)


def _parse_link(text: str, index: int) -> Envelope:
    try:
        envelope = parse_document(text)
        if envelope.type != "delegation":
            raise ForbiddenTypeError("not a delegation")
        verify_link(envelope)
    except BadSignatureError:
        raise
    except Error as exc:
        raise InvalidFieldError(exc.message, pointer=f"/delegations/{index}") from exc
    return envelope
