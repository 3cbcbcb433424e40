"""Enrolled agents: seen, labelled, stopped, released and revoked.

Quarantine and revocation are signed documents that the agents obey offline. The hub may set a
quarantine and add revocations; lifting either needs an operator's or the root's signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, authorize_one, realms_with
from controlplane.context import Hub, OutboxKind
from controlplane.errors import (
    HiddenError,
    InvalidFieldError,
    PreconditionError,
    StateConflictError,
)
from controlplane.first_start import document_record
from controlplane.intents.service import announce, end_queued
from controlplane.intents.signed import verify_submitted
from protocol.envelope import parse_document, seal_document
from protocol.errors import ExpiredError, WrongAudienceError
from protocol.ids import is_agent_name
from protocol.limits import CloseCode
from protocol.messages.delegations import Quarantine
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import AgentRecord, IntentRecord, RevocationsRecord
from storage.unit_of_work import UnitOfWork

SAFETY_LIFETIME = timedelta(days=365)
"""How long quarantines and revocations stay valid: they must reach agents that come back late."""


async def list_agents(
    hub: Hub, actor: Actor, *, limit: int, cursor: str | None, **filters: Any
) -> Page[AgentRecord]:
    """Return a page of the agents the caller may see, by name."""
    realms = realms_with(actor, "agents.read")
    return await hub.database.read(
        lambda uow: uow.agents.list(realms=realms, limit=limit, cursor=cursor, **filters)
    )


async def load_agent(hub: Hub, actor: Actor, name_or_did: str) -> AgentRecord:
    """Return one agent as it is on disk; `HiddenError` when the caller may not see it."""
    return await hub.database.read(lambda uow: _visible(uow, actor, name_or_did))


async def edit_agent(
    hub: Hub,
    actor: Actor,
    name_or_did: str,
    *,
    name: str | None,
    labels: Mapping[str, str] | None,
    realms: Sequence[str] | None,
    revision: int | None,
) -> AgentRecord:
    """Change name, labels or realms of an agent.

    Raises:
        HiddenError, AccessDeniedError: not this caller's to change.
        PreconditionError: somebody else changed it since `revision`.
        InvalidFieldError: an impossible or taken name, or an unknown realm.
    """
    changes: dict[str, Any] = {"updated_at": clock.now()}
    if name is not None:
        if not is_agent_name(name):
            raise InvalidFieldError("lowercase letters, digits, . _ -", pointer="/name")
        changes["name"] = name
    if labels is not None:
        changes["labels"] = dict(labels)
    if realms is not None:
        for realm in realms:
            authorize(actor, "agents.edit", realm=realm)
        changes["realms"] = tuple(realms)

    def unit(uow: UnitOfWork) -> AgentRecord:
        found = _visible(uow, actor, name_or_did)
        authorize_one(actor, "agents.edit", found.realms, see="agents.read")
        if revision is not None and revision != found.revision:
            raise PreconditionError("the agent was changed since")
        for index, realm in enumerate(realms or ()):
            if uow.realms.get(realm) is None:
                raise InvalidFieldError(f"no realm {realm}", pointer=f"/realms/{index}")
        if name is not None and name != found.name and uow.agents.get_by_name(name) is not None:
            raise InvalidFieldError("this name is taken", pointer="/name")
        try:
            changed = uow.agents.update(found.did, revision=found.revision, **changes)
        except ConflictError as exc:
            raise PreconditionError("the agent was changed since") from exc
        told = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in changes.items()
            if key != "updated_at"
        }
        uow.audit.append(
            "agent.edited",
            actor.subject,
            found.did,
            {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in told.items()
            },
        )
        return changed

    changed = await hub.database.write(unit)
    _tell(hub, "agent.edited", changed)
    return changed


async def quarantine_agent(hub: Hub, actor: Actor, name_or_did: str, reason: str) -> AgentRecord:
    """Have an agent refuse all work, by a quarantine that the hub signs; again is harmless."""
    now = clock.now()

    def unit(uow: UnitOfWork) -> AgentRecord:
        found = _visible(uow, actor, name_or_did)
        authorize_one(actor, "agents.quarantine", found.realms, see="agents.read")
        if found.state == "revoked":
            raise StateConflictError("this agent is revoked")
        epoch = int((found.quarantine or {}).get("epoch", 0)) + 1
        envelope = seal_document(
            type="quarantine",
            id=clock.new_id(),
            timestamp=now,
            expires=now + SAFETY_LIFETIME,
            audience=found.did,
            payload={"epoch": epoch, "active": True, "reason": reason},
            signer=hub.identity.hub_key,
        )
        uow.documents.put(document_record(envelope, now))
        uow.outbox.add(found.did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did)
        uow.audit.append(
            "agent.quarantined",
            actor.subject,
            found.did,
            {"epoch": epoch, "documentId": envelope.id, "digest": envelope.digest},
            at=now,
        )
        return uow.agents.update(
            found.did,
            state="quarantined",
            quarantine={
                "epoch": epoch,
                "active": True,
                "reason": reason,
                "documentId": envelope.id,
                "by": actor.subject,
            },
            updated_at=now,
        )

    changed = await hub.database.write(unit)
    hub.dispatcher.wake(changed.did)
    _tell(hub, "agent.quarantined", changed)
    return changed


async def release_agent(hub: Hub, actor: Actor, name_or_did: str, document: str) -> AgentRecord:
    """Lift a quarantine by a `quarantine` document of an operator or the root.

    Raises:
        StateConflictError: an epoch that is not higher, or a revoked agent.
        InvalidFieldError: signed by the hub itself, or it does not lift.
        DecodeError, VerificationError: not such a document.
    """
    envelope = parse_document(document)
    payload = verify_submitted(envelope, "quarantine")
    assert isinstance(payload, Quarantine)
    now = clock.now()
    if payload.active:
        raise InvalidFieldError("active must be false", pointer="/document")
    if envelope.sender_did == hub.identity.hub_did:
        raise InvalidFieldError("the hub's key cannot lift a quarantine", pointer="/document")
    if envelope.expires is None or now >= envelope.expires:
        raise ExpiredError("the document has expired")

    def unit(uow: UnitOfWork) -> AgentRecord:
        found = _visible(uow, actor, name_or_did)
        authorize_one(actor, "agents.quarantine", found.realms, see="agents.read")
        if envelope.audience != found.did:
            raise WrongAudienceError("the document is for another agent")
        if found.state == "revoked":
            raise StateConflictError("this agent is revoked")
        before = found.quarantine or {}
        if before.get("documentId") == envelope.id:
            return found
        if payload.epoch <= int(before.get("epoch", 0)):
            raise StateConflictError(f"the epoch must be above {before.get('epoch', 0)}")
        uow.documents.put_once(document_record(envelope, now))
        for delegation_id in payload.proof or ():
            link = uow.delegations.get(delegation_id)
            if link is not None:
                uow.outbox.add(found.did, OutboxKind.DELEGATION, link.id, link.wire)
        uow.outbox.add(found.did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did)
        uow.audit.append(
            "agent.released",
            actor.subject,
            found.did,
            {"epoch": payload.epoch, "documentId": envelope.id, "signer": envelope.sender_did},
            at=now,
        )
        return uow.agents.update(
            found.did,
            state="active",
            quarantine={
                "epoch": payload.epoch,
                "active": False,
                "reason": payload.reason,
                "documentId": envelope.id,
                "by": actor.subject,
            },
            updated_at=now,
        )

    changed = await hub.database.write(unit)
    hub.dispatcher.wake(changed.did)
    _tell(hub, "agent.released", changed)
    return changed


async def revoke_agent(hub: Hub, actor: Actor, name_or_did: str, reason: str) -> AgentRecord:
    """Shut an agent's key out for good: its connection ends, what is queued for it is cancelled."""
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[AgentRecord, list[IntentRecord], list[str]]:
        found = _visible(uow, actor, name_or_did)
        authorize(actor, "agents.revoke")
        if found.state == "revoked":
            return found, [], []
        cancelled = []
        for intent in uow.intents.open_for_agent(found.did):
            ended = end_queued(
                uow, intent.id, actor=actor.subject, reason="the agent was revoked", now=now
            )
            if ended is not None:
                cancelled.append(ended)
        uow.outbox.delete_agent(found.did)
        told = add_revocations(uow, hub, actor.subject, keys=(found.did,), delegations=(), now=now)
        uow.audit.append("agent.revoked", actor.subject, found.did, {"reason": reason}, at=now)
        changed = uow.agents.update(found.did, state="revoked", updated_at=now)
        return changed, cancelled, told

    changed, cancelled, told = await hub.database.write(unit)
    hub.registry.close_agent(changed.did, code=CloseCode.REFUSED, reason="revoked")
    announce(hub, cancelled)
    for did in told:
        hub.dispatcher.wake(did)
    _tell(hub, "agent.revoked", changed)
    return changed


def add_revocations(
    uow: UnitOfWork,
    hub: Hub,
    actor: str,
    *,
    keys: Sequence[str],
    delegations: Sequence[str],
    now: datetime,
) -> list[str]:
    """Sign the next full list with these added, queue it for every agent; return whom to wake."""
    latest = uow.revocations.latest()
    all_keys = tuple(dict.fromkeys([*(latest.keys if latest else ()), *keys]))
    all_ids = tuple(dict.fromkeys([*(latest.delegations if latest else ()), *delegations]))
    epoch = 1 if latest is None else latest.epoch + 1
    envelope = seal_document(
        type="revocations",
        id=clock.new_id(),
        timestamp=now,
        expires=now + SAFETY_LIFETIME,
        audience="*",
        payload={"epoch": epoch, "keys": list(all_keys), "delegations": list(all_ids)},
        signer=hub.identity.hub_key,
    )
    uow.documents.put(document_record(envelope, now))
    uow.revocations.add(
        RevocationsRecord(
            epoch=epoch,
            keys=all_keys,
            delegations=all_ids,
            document_id=envelope.id,
            digest=envelope.digest,
            wire=envelope.wire,
            created_by=actor,
            created_at=now,
        )
    )
    uow.audit.append(
        "revocations.signed",
        actor,
        envelope.id,
        {"epoch": epoch, "digest": envelope.digest},
        at=now,
    )
    told = []
    for agent in uow.agents.matching():
        if agent.did in all_keys:
            continue
        if latest is not None:
            uow.outbox.delete_refs(agent.did, (latest.document_id,))
        uow.outbox.add(agent.did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did)
        told.append(agent.did)
    return told


def _visible(uow: UnitOfWork, actor: Actor, name_or_did: str) -> AgentRecord:
    if name_or_did.startswith("did:"):
        found = uow.agents.get(name_or_did)
    else:
        found = uow.agents.get_by_name(name_or_did)
    if found is None:
        raise HiddenError("no such agent")
    authorize_one(actor, "agents.read", found.realms, see="agents.read")
    return found


def _tell(hub: Hub, event: str, agent: AgentRecord) -> None:
    hub.agents.forget()
    hub.events.emit(
        event,
        realm=agent.realms[0] if agent.realms else None,
        data={"agent": agent.did, "name": agent.name, "status": agent.status},
        subject=agent.did,
    )
