"""Delegations given: signed by the hub inside its own rights, or signed elsewhere and kept.

Every one is sent at once to the agents it concerns, its parents before it. Nothing here makes an
agent obey: each judges the chain again, offline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, is_allowed, realms_with, sees_any
from controlplane.context import Hub, OutboxKind
from controlplane.delegations.proof import chain_of, links_to
from controlplane.delegations.reach import above, is_seen_from, reached_agents
from controlplane.delegations.revocations import add_revocations
from controlplane.errors import AccessDeniedError, HiddenError, InvalidFieldError
from controlplane.intents.signed import verify_submitted
from controlplane.stored_documents import delegation_record, document_record
from protocol import limits
from protocol.conditions import compile_condition
from protocol.delegation import verify_link
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.errors import (
    AuthorityError,
    BadPayloadError,
    ConditionError,
    ExpiredError,
    FutureError,
    WrongAudienceError,
)
from protocol.keys import SigningKey
from protocol.links import Link, check_attenuated
from protocol.messages.registry import parse_payload
from protocol.timestamps import format_timestamp
from storage.records import DelegationRecord
from storage.unit_of_work import UnitOfWork

BACKDATE: Final = timedelta(seconds=60)
"""`notBefore` is judged without tolerance, so it is set this much before the issuer's clock."""
ISSUED: Final = "grant"
"""Source of what the hub's key signed because somebody asked for it."""


@dataclass(frozen=True, slots=True)
class DelegationRequest:
    """What is to be lent; agents by DID or name."""

    subject: str
    capabilities: Sequence[dict[str, Any]]
    lifetime: timedelta
    conditions: Sequence[str] = ()
    max_depth: int = 0
    budget: dict[str, Any] | None = field(default=None)


async def issue_delegation(hub: Hub, actor: Actor, request: DelegationRequest) -> DelegationRecord:
    """Sign a delegation by the hub's key and send it to the agents it concerns.

    It ends no later than the hub's own.

    Raises:
        AccessDeniedError: the caller may not lend in the hub's name.
        InvalidFieldError: no such realm or agent, a condition nobody can read, or more than the
            hub itself was lent.
    """
    check_may_grant(actor, request.subject, request.capabilities, request.max_depth)
    capabilities = await _resolve(hub, actor, request.capabilities)
    now = clock.now()
    own = load_hub_link(hub)
    if request.max_depth >= own.delegation.max_depth:
        raise InvalidFieldError(f"below {own.delegation.max_depth}", pointer="/maxDepth")
    envelope = seal_under(
        own,
        hub.identity.hub_key,
        {
            "subject": request.subject,
            "capabilities": capabilities,
            "conditions": list(request.conditions),
            "maxDepth": request.max_depth,
            **({"budget": request.budget} if request.budget is not None else {}),
        },
        expires=now + request.lifetime,
        now=now,
    )
    link = _read(envelope, "/capabilities")
    try:
        check_attenuated(link, own)
    except AuthorityError as exc:
        raise InvalidFieldError(f"more than the hub may lend: {exc.message}", pointer="/") from exc
    return await _keep(hub, actor, link, source=ISSUED)


async def take_delegation(hub: Hub, actor: Actor, document: str) -> DelegationRecord:
    """Keep a delegation signed elsewhere and send it out; the same again gets the first answer.

    Raises:
        DecodeError, VerificationError: no delegation, or not valid now.
        InvalidFieldError: the chain above it is not held or does not allow it; the message names
            the code that agents would give.
    """
    authorize(actor, "delegations.sign")
    envelope = parse_document(document)
    verify_submitted(envelope, "delegation")
    now = clock.now()
    if envelope.audience != "*":
        raise WrongAudienceError("a delegation is for everybody")
    if envelope.timestamp - limits.DOCUMENT_SKEW > now:
        raise FutureError("signed in the future")
    if envelope.expires is None or now >= envelope.expires:
        raise ExpiredError("the delegation has expired")
    return await _keep(hub, actor, _read(envelope, "/document"), source="presented")


async def revoke_delegation(
    hub: Hub, actor: Actor, delegation_id: str, reason: str
) -> DelegationRecord:
    """Put a delegation on the list of revocations; what hangs under it counts no more either.

    Again is harmless.

    Raises:
        HiddenError: no such delegation.
        InvalidFieldError: the hub's own, which only the root can take back.
    """
    authorize(actor, "delegations.write")
    now = clock.now()
    own = (hub.identity.hub_delegation.id, hub.identity.log_delegation.id)

    def unit(uow: UnitOfWork) -> tuple[DelegationRecord, list[str]]:
        found = uow.delegations.get(delegation_id)
        if found is None or not is_seen_from(found, realms_with(actor, "delegations.read")):
            raise HiddenError("no such delegation")
        check_may_grant(actor, found.subject, found.capabilities, found.max_depth)
        if delegation_id in own:
            raise InvalidFieldError("the hub does not revoke itself: the root can", pointer="/id")
        revoked = uow.delegations.revoke(delegation_id, actor.subject, now)
        if revoked is None:
            return found, []
        told = add_revocations(
            uow, hub, actor.subject, keys=(), delegations=(delegation_id,), now=now
        )
        uow.audit.append(
            "delegation.revoked",
            actor.subject,
            delegation_id,
            {"subject": found.subject},
            realms=found.realms_named,
            personal={"reason": reason},
            at=now,
        )
        return revoked, told

    revoked, told = await hub.database.write(unit)
    for did in told:
        hub.dispatcher.wake(did)
    _announce(hub, "delegation.revoked", revoked)
    return revoked


def check_may_grant(
    actor: Actor, subject: str, capabilities: Sequence[Mapping[str, Any]], max_depth: int
) -> None:
    """Return when `actor` may lend this in the hub's name, or take it back.

    Who manages a realm grants people what its agents do there; everything else is for those who
    hold the whole hub.

    Raises:
        AccessDeniedError: they may not.
    """
    if is_allowed(actor, "delegations.write.any"):
        return
    realms = realms_with(actor, "delegations.write") or frozenset()
    if not subject.startswith("user:") or max_depth > 0:
        raise AccessDeniedError("needs delegations.write.any: only people are granted, for good")
    for one in capabilities:
        named = one.get("realms")
        if not isinstance(named, list) or not named or not realms.issuperset(map(str, named)):
            raise AccessDeniedError("name realms in which you hold delegations.write")
        if str(one.get("action", "")).startswith("writ."):
            raise AccessDeniedError("needs delegations.write.any: this steers agents")


def load_hub_link(hub: Hub) -> Link:
    """Return the hub's own delegation from the root."""
    return verify_link(hub.identity.hub_delegation)


def seal_under(
    parent: Link, signer: SigningKey, content: dict[str, Any], *, expires: datetime, now: datetime
) -> Envelope:
    """Return a delegation under `parent`, its lifetime inside the parent's."""
    return seal_document(
        type="delegation",
        id=clock.new_id(),
        timestamp=now,
        expires=min(expires, parent.expires),
        audience="*",
        payload={
            **content,
            "notBefore": format_timestamp(max(parent.delegation.not_before, now - BACKDATE)),
            "parent": parent.digest,
        },
        signer=signer,
    )


def store_delegation(
    uow: UnitOfWork, hub: Hub, link: Link, *, source: str, by: str, now: datetime
) -> tuple[DelegationRecord, list[str]]:
    """Keep a delegation whose chain was checked, and queue it; return it and whom to wake."""
    envelope = link.envelope
    uow.documents.put_once(document_record(envelope, now))
    record = delegation_record(envelope, source=source, created_by=by, now=now)
    uow.delegations.add(record)
    uow.audit.append(
        "delegation.issued",
        by,
        record.id,
        {"digest": record.digest, "subject": record.subject, "issuer": record.issuer},
        realms=record.realms_named,
        at=now,
    )
    told = reached_agents(uow, record)
    if record.subject in told:
        for parent in above(uow, record):
            uow.outbox.add(record.subject, OutboxKind.DELEGATION, parent.id, parent.wire)
    for did in told:
        uow.outbox.add(did, OutboxKind.DELEGATION, record.id, record.wire)
    return record, told


async def _keep(hub: Hub, actor: Actor, link: Link, *, source: str) -> DelegationRecord:
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[DelegationRecord, list[str]]:
        held = uow.delegations.get(link.id)
        if held is not None and held.digest == link.digest:
            return held, []
        if link.delegation.parent is None:
            links = [link]
        else:
            above = uow.delegations.get_by_digest(link.delegation.parent)
            if above is None:
                raise InvalidFieldError("the hub holds no such parent", pointer="/document")
            links = [*links_to(uow, above), link]
        try:
            if link.delegation.subject.startswith("did:"):
                chain_of(uow, hub, links, now)
            else:
                # A person signs nothing: the chain to the issuer, then the last link by itself.
                if len(links) > 1:
                    chain_of(uow, hub, links[:-1], now)
                    check_attenuated(link, links[-2])
                if len(links) == 1 and link.envelope.public_key != hub.identity.root:
                    raise InvalidFieldError("only the root lends without parent", pointer="/")
                if len(links) > 1 and links[-2].delegation.subject != link.envelope.sender_did:
                    raise InvalidFieldError("not signed by the parent's subject", pointer="/")
        except AuthorityError as exc:
            raise InvalidFieldError(f"{exc.code}: {exc.message}", pointer="/document") from exc
        return store_delegation(uow, hub, link, source=source, by=actor.subject, now=now)

    record, told = await hub.database.write(unit)
    for did in told:
        hub.dispatcher.wake(did)
    _announce(hub, "delegation.issued", record)
    return record


async def _resolve(
    hub: Hub, actor: Actor, capabilities: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return capabilities with names of agents turned into DIDs; realms must exist.

    An agent that the caller may not see does not exist for them.

    Whatever has another shape is left for the payload's own check.
    """
    resolved = []
    for index, capability in enumerate(capabilities):
        realms, agents = capability.get("realms"), capability.get("agents")
        for at, realm in enumerate(realms if isinstance(realms, list) else ()):
            if isinstance(realm, str) and not await _is_realm(hub, realm):
                pointer = f"/capabilities/{index}/realms/{at}"
                raise InvalidFieldError(f"no realm {realm}", pointer=pointer)
        dids = []
        for at, agent in enumerate(agents if isinstance(agents, list) else ()):
            found = await hub.agents.find(agent) if isinstance(agent, str) else None
            if found is None or not sees_any(actor, "agents.read", found.realms):
                pointer = f"/capabilities/{index}/agents/{at}"
                raise InvalidFieldError("no such agent", pointer=pointer)
            dids.append(found.did)
        resolved.append({**capability, "agents": dids} if dids else capability)
    return resolved


async def _is_realm(hub: Hub, realm: str) -> bool:
    return await hub.database.read(lambda uow: uow.realms.get(realm)) is not None


def _read(envelope: Envelope, pointer: str) -> Link:
    try:
        parse_payload(envelope.type, envelope.payload)
        link = verify_link(envelope)
    except BadPayloadError as exc:
        raise InvalidFieldError(exc.message, pointer=pointer) from exc
    for index, condition in enumerate(link.delegation.conditions):
        try:
            compile_condition(condition)
        except ConditionError as exc:
            raise InvalidFieldError(exc.message, pointer=f"/conditions/{index}") from exc
    return link


def _announce(hub: Hub, event: str, record: DelegationRecord) -> None:
    hub.events.emit(
        event,
        realm=None,
        data={"id": record.id, "subject": record.subject, "issuer": record.issuer},
        subject=record.id,
    )
