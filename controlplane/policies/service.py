"""Policies: written once by people, signed by the hub as one document for each agent.

The agent holds exactly one; a newer version replaces it. Documents are signed inside the unit of
work, because their version is the next of what is in force there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, authorize_one, realms_with
from controlplane.context import Hub, OutboxKind
from controlplane.errors import HiddenError, InvalidFieldError
from protocol.conditions import compile_condition
from protocol.envelope import Envelope, seal_document
from protocol.errors import BadPayloadError, ConditionError
from protocol.messages.policies import PolicyUpdate
from protocol.messages.registry import parse_payload
from storage.pages import Page
from storage.records import AgentPolicyRecord, AgentRecord, DocumentRecord, PolicyRecord
from storage.unit_of_work import UnitOfWork

_CHECKED_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class PolicyContent:
    """Rules and limits in their wire form (SPEC section 6)."""

    rules: Sequence[dict[str, Any]]
    limits: dict[str, Any] = field(default_factory=dict)


def allow_content(actions: Sequence[str]) -> PolicyContent:
    """Return the policy with one rule that allows `actions`; none at all allows nothing."""
    if not actions:
        return PolicyContent(rules=[])
    return PolicyContent(rules=[{"id": "allow", "effect": "allow", "actions": list(actions)}])


def content_payload(content: PolicyContent, realms: Sequence[str]) -> dict[str, Any]:
    """Return the payload that `content` would become, with a placeholder for id and version."""
    return {
        "policyId": _CHECKED_ID,
        "version": 1,
        "realms": list(realms),
        "default": "deny",
        "rules": list(content.rules),
        "limits": content.limits,
    }


def check_content(content: PolicyContent, realms: Sequence[str], *, pointer: str = "") -> None:
    """Return when an agent would read `content`.

    Raises:
        InvalidFieldError: a rule or limit that does not fit, or a condition that cannot be read.
    """
    payload = content_payload(content, realms)
    try:
        update = parse_payload("policy_update", payload)
    except BadPayloadError as exc:
        raise InvalidFieldError(exc.message, pointer=pointer or "/rules") from exc
    assert isinstance(update, PolicyUpdate)
    for index, rule in enumerate(update.rules):
        if rule.when is not None:
            try:
                compile_condition(rule.when)
            except ConditionError as exc:
                where = f"{pointer}/rules/{index}/when"
                raise InvalidFieldError(exc.message, pointer=where) from exc


def sign_policy(
    uow: UnitOfWork, hub: Hub, agent_did: str, policy: PolicyRecord, *, actor: str, now: datetime
) -> Envelope:
    """Put `policy` in force at an agent: document, ratchet, leaf and outbox in this unit."""
    current = uow.policies.for_agent(agent_did)
    version = 1 if current is None else current.version + 1
    key = hub.identity.hub_key
    latest = hub.identity.hub_delegation.expires
    expires = now + timedelta(seconds=hub.settings.policy_lifetime_seconds)
    if latest is not None:
        expires = min(expires, latest)
    envelope = seal_document(
        type="policy_update",
        id=clock.new_id(),
        timestamp=now,
        expires=expires,
        audience=agent_did,
        payload={
            "policyId": policy.id,
            "version": version,
            "realms": list(policy.realms),
            "default": "deny",
            "rules": list[Any](policy.rules),
            "limits": policy.limits,
        },
        signer=key,
    )
    uow.documents.put(
        DocumentRecord(
            id=envelope.id,
            signer=envelope.sender_did,
            type=envelope.type,
            digest=envelope.digest,
            wire=envelope.wire,
            audience=agent_did,
            expires_at=expires,
            created_at=now,
        )
    )
    uow.policies.set_for_agent(
        AgentPolicyRecord(
            agent_did=agent_did,
            policy_id=policy.id,
            version=version,
            document_id=envelope.id,
            digest=envelope.digest,
            wire=envelope.wire,
            created_at=now,
            expires_at=expires,
        )
    )
    if current is not None:
        # The older one must not be sent any more: the agent would refuse it.
        uow.outbox.delete_refs(agent_did, (current.document_id,))
    uow.outbox.add(agent_did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did)
    uow.audit.append(
        "policy.signed",
        actor,
        agent_did,
        {
            "policyId": policy.id,
            "version": version,
            "documentId": envelope.id,
            "digest": envelope.digest,
        },
        at=now,
    )
    return envelope


async def create_policy(
    hub: Hub,
    actor: Actor,
    *,
    agent: str,
    content: PolicyContent,
    realms: Sequence[str] | None,
    name: str | None,
) -> tuple[PolicyRecord, AgentPolicyRecord]:
    """Put a new policy in force at one agent (DID or name), and have it sent.

    Raises:
        HiddenError, AccessDeniedError: no such agent for this caller, or a realm beyond theirs.
        InvalidFieldError: the content does not fit.
    """
    found = await hub.agents.find(agent)
    if found is None:
        raise HiddenError(f"no agent {agent}")
    authorize_one(actor, "policies.write", found.realms, see="agents.read")
    chosen = tuple(found.realms if realms is None else realms)
    for realm in chosen:
        authorize(actor, "policies.write", realm=realm)
    check_content(content, chosen)
    now = clock.now()
    policy = PolicyRecord(
        id=clock.new_id(),
        realms=chosen,
        rules=list(content.rules),
        limits=content.limits,
        agents=(found.did,),
        name=name,
        created_by=actor.subject,
        created_at=now,
        updated_at=now,
    )

    def unit(uow: UnitOfWork) -> AgentPolicyRecord:
        uow.policies.add(policy)
        sign_policy(uow, hub, found.did, policy, actor=actor.subject, now=now)
        in_force = uow.policies.for_agent(found.did)
        assert in_force is not None
        return in_force

    in_force = await hub.database.write(unit)
    hub.dispatcher.wake(found.did)
    hub.events.emit(
        "policy.signed",
        realm=chosen[0] if chosen else None,
        data={"policyId": policy.id, "agent": found.did, "version": in_force.version},
        subject=policy.id,
    )
    return policy, in_force


async def list_policies(
    hub: Hub, actor: Actor, limit: int, cursor: str | None, *, agent: str | None = None
) -> Page[tuple[PolicyRecord, Sequence[AgentPolicyRecord]]]:
    """Return a page of the policies the caller may see with where each is in force, newest first.

    With `agent` (DID or name) only those for that agent.
    """
    found = None if agent is None else await hub.agents.find(agent)
    did = agent if found is None else found.did

    def unit(uow: UnitOfWork) -> Page[tuple[PolicyRecord, Sequence[AgentPolicyRecord]]]:
        page = uow.policies.list(limit=limit, cursor=cursor)
        shown = tuple(
            (one, uow.policies.agents_of(one.id))
            for one in page.items
            if _may_see(actor, one) and (did is None or did in one.agents)
        )
        return Page(shown, page.next_cursor)

    return await hub.database.read(unit)


async def load_policy(
    hub: Hub, actor: Actor, policy_id: str
) -> tuple[PolicyRecord, Sequence[AgentPolicyRecord]]:
    """Return a policy and where it is in force; `HiddenError` when the caller may not see it."""
    found = await hub.database.read(
        lambda uow: (uow.policies.get(policy_id), uow.policies.agents_of(policy_id))
    )
    policy, in_force = found
    if policy is None or not _may_see(actor, policy):
        raise HiddenError("no such policy")
    return policy, in_force


async def delete_policy(hub: Hub, actor: Actor, policy_id: str) -> None:
    """Forget a policy; where it is in force, an empty one replaces it, which allows nothing."""
    policy, in_force = await load_policy(hub, actor, policy_id)
    for realm in policy.realms:
        authorize(actor, "policies.write", realm=realm)
    now = clock.now()
    empty = PolicyRecord(
        id=policy.id,
        realms=policy.realms,
        rules=[],
        created_by=actor.subject,
        created_at=now,
        updated_at=now,
    )

    def unit(uow: UnitOfWork) -> None:
        for one in in_force:
            sign_policy(uow, hub, one.agent_did, empty, actor=actor.subject, now=now)
        uow.policies.delete(policy_id)
        uow.audit.append("policy.deleted", actor.subject, policy_id, {}, at=now)

    await hub.database.write(unit)
    for one in in_force:
        hub.dispatcher.wake(one.agent_did)


def renew_expiring(uow: UnitOfWork, hub: Hub, *, now: datetime, before: datetime) -> list[str]:
    """Sign policies anew that expire before `before`; return the agents to wake."""
    renewed = []
    for one in uow.policies.expiring(before, limit=100):
        policy = uow.policies.get(one.policy_id)
        agent: AgentRecord | None = uow.agents.get(one.agent_did)
        if policy is None or agent is None or agent.state == "revoked":
            continue
        sign_policy(uow, hub, one.agent_did, policy, actor="hub", now=now)
        renewed.append(one.agent_did)
    return renewed


def _may_see(actor: Actor, policy: PolicyRecord) -> bool:
    realms = realms_with(actor, "policies.read")
    return realms is None or any(realm in realms for realm in policy.realms)
