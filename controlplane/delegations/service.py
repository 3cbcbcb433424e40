"""Delegations: lent by the hub out of its own, handed in signed by others, and revoked.

Every agent that a delegation reaches is sent it; what is revoked goes onto the list that all
agents are sent, and never comes off it by the hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize
from controlplane.context import Hub, OutboxKind
from controlplane.errors import HiddenError, InvalidFieldError
from controlplane.first_start import delegation_record, document_record
from controlplane.fleet.agents import add_revocations
from controlplane.intents.signed import verify_submitted
from protocol.conditions import compile_condition
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.errors import BadPayloadError, ConditionError, ExpiredError
from protocol.messages.registry import parse_payload
from protocol.timestamps import format_timestamp
from storage.records import DelegationRecord
from storage.unit_of_work import UnitOfWork


async def issue_delegation(
    hub: Hub,
    actor: Actor,
    *,
    subject: str,
    capabilities: Sequence[dict[str, Any]],
    conditions: Sequence[str],
    max_depth: int,
    expires_in_seconds: int,
) -> DelegationRecord:
    """Lend out of the hub's own delegation, to a key or a person.

    Raises:
        AccessDeniedError: the caller may not.
        InvalidFieldError: not a subject, capability or condition, or deeper than the hub may lend.
    """
    authorize(actor, "delegations.write")
    parent = hub.identity.hub_delegation
    now = clock.now()
    expires = now + timedelta(seconds=expires_in_seconds)
    if parent.expires is not None:
        expires = min(expires, parent.expires)
    own_depth = parent.payload["maxDepth"]
    assert isinstance(own_depth, int)
    if max_depth >= own_depth:
        raise InvalidFieldError(f"below {own_depth}", pointer="/maxDepth")
    for index, source in enumerate(conditions):
        try:
            compile_condition(source)
        except ConditionError as exc:
            raise InvalidFieldError(exc.message, pointer=f"/conditions/{index}") from exc
    payload: dict[str, Any] = {
        "subject": subject,
        "capabilities": list(capabilities),
        "conditions": list(conditions),
        "notBefore": format_timestamp(now),
        "maxDepth": max_depth,
        "parent": parent.digest,
    }
    try:
        parse_payload("delegation", payload)
    except BadPayloadError as exc:
        raise InvalidFieldError(exc.message, pointer="/capabilities") from exc
    envelope = seal_document(
        type="delegation",
        id=clock.new_id(),
        timestamp=now,
        expires=expires,
        audience="*",
        payload=payload,
        signer=hub.identity.hub_key,
    )
    return await _keep(hub, actor, envelope, "grant")


async def take_signed_delegation(hub: Hub, actor: Actor, document: str) -> DelegationRecord:
    """Take a delegation that somebody else signed and send it to whom it reaches.

    Whether its chain holds is judged by the agents; the same bytes again get the first answer.

    Raises:
        DecodeError, VerificationError: not a delegation that can be read.
        IdReuseError: the signer used this id for other bytes.
    """
    authorize(actor, "delegations.write")
    envelope = parse_document(document)
    verify_submitted(envelope, "delegation")
    if envelope.expires is None or clock.now() >= envelope.expires:
        raise ExpiredError("the delegation has expired")
    return await _keep(hub, actor, envelope, "presented")


async def revoke_delegation(hub: Hub, actor: Actor, delegation_id: str) -> DelegationRecord:
    """Put a delegation on the revocation list and tell every agent; again is harmless.

    Raises:
        HiddenError: no such delegation.
        InvalidFieldError: the hub's own, which only the root can take back.
    """
    authorize(actor, "delegations.write")
    if delegation_id in (hub.identity.hub_delegation.id, hub.identity.log_delegation.id):
        raise InvalidFieldError("the hub does not revoke itself", pointer="/id")
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[DelegationRecord, list[str]]:
        found = uow.delegations.get(delegation_id)
        if found is None:
            raise HiddenError("no such delegation")
        revoked = uow.delegations.revoke(delegation_id, actor.subject, now)
        if revoked is None:
            return found, []
        told = add_revocations(
            uow, hub, actor.subject, keys=(), delegations=(delegation_id,), now=now
        )
        uow.audit.append("delegation.revoked", actor.subject, delegation_id, {}, at=now)
        return revoked, told

    record, told = await hub.database.write(unit)
    for did in told:
        hub.dispatcher.wake(did)
    return record


async def _keep(hub: Hub, actor: Actor, envelope: Envelope, source: str) -> DelegationRecord:
    now = clock.now()
    record = delegation_record(envelope, source=source, created_by=actor.subject, now=now)

    def unit(uow: UnitOfWork) -> tuple[DelegationRecord, list[str]]:
        uow.documents.put_once(document_record(envelope, now))
        known = uow.delegations.get(envelope.id)
        if known is not None:
            return known, []
        uow.delegations.add(record)
        uow.audit.append(
            "delegation.issued",
            actor.subject,
            envelope.id,
            {"digest": envelope.digest, "subject": record.subject, "signer": record.issuer},
            at=now,
        )
        told = [one.did for one in uow.agents.matching() if _reaches(record, one.did)]
        for did in told:
            uow.outbox.add(did, OutboxKind.DELEGATION, envelope.id, signer=envelope.sender_did)
        return record, told

    kept, told = await hub.database.write(unit)
    for did in told:
        hub.dispatcher.wake(did)
    return kept


def _reaches(record: DelegationRecord, agent_did: str) -> bool:
    return any(
        one.get("agents") is None or agent_did in one["agents"] for one in record.capabilities
    )
