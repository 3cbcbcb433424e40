"""The one policy document of each agent: merged out of its layers, signed, and put on its way.

Everything here runs inside a unit of work: the version of a document is the next of what is in
force there, and what it is merged of is what is in force there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from controlplane import clock
from controlplane.context import Hub, OutboxKind
from controlplane.errors import AccessDeniedError, InvalidFieldError, StateConflictError
from controlplane.policies.content import PolicyContent
from controlplane.policies.demands import LayersError
from controlplane.policies.layers import (
    AGENT,
    FLEET,
    REALM_PREFIX,
    Layer,
    Merged,
    layer_of,
    merge_layers,
)
from protocol.capabilities import covers_action
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.errors import BadPayloadError, ExpiredError, WrongAudienceError
from protocol.messages.policies import PolicyLimits, PolicyUpdate
from storage.records import AgentPolicyRecord, DocumentRecord, PolicyRecord
from storage.unit_of_work import UnitOfWork

_ACTION = "writ.policy"


@dataclass(frozen=True, slots=True)
class SignedPolicy:
    """A `policy_update` that somebody else signed, and whose signature holds."""

    envelope: Envelope
    update: PolicyUpdate


def content_of(policy: PolicyRecord | None) -> PolicyContent:
    """Return what a kept policy says; one that is gone allows nothing."""
    return PolicyContent([]) if policy is None else PolicyContent(policy.rules, policy.limits)


def load_layers(uow: UnitOfWork) -> list[Layer]:
    """Return the layers of the fleet and of every realm."""
    found = []
    for name, record in sorted(uow.policies.layers().items()):
        policy = None if record.policy_id is None else uow.policies.get(record.policy_id)
        found.append(layer_of(name, content_of(policy)))
    return found


def merge_policy(
    uow: UnitOfWork, policy: PolicyRecord, layers: list[Layer] | None = None
) -> Merged:
    """Return the one policy that `policy` becomes at its agent, with the layers in force.

    Raises:
        LayersError: no policy of one agent can say this.
    """
    own = layer_of(AGENT, content_of(policy))
    return merge_layers(own, load_layers(uow) if layers is None else layers, policy.realms)


def signer_of(record: AgentPolicyRecord) -> str:
    """Return the DID that signed the document in force."""
    return parse_document(record.wire).sender_did


def sign_policy(
    uow: UnitOfWork,
    hub: Hub,
    agent_did: str,
    policy: PolicyRecord,
    *,
    actor: str,
    now: datetime,
    layers: list[Layer] | None = None,
    or_nothing: bool = False,
) -> Envelope:
    """Put `policy` in force at an agent: document, ratchet, leaf and outbox in this unit.

    Args:
        uow: the unit.
        hub: for its key.
        agent_did: the agent.
        policy: its own policy; the layers in force narrow it.
        actor: for the record.
        now: aware.
        layers: those in force, when the caller has loaded them.
        or_nothing: sign a policy that allows nothing where the layers cannot be merged.

    Raises:
        LayersError: no policy of one agent can say this.
    """
    current = uow.policies.for_agent(agent_did)
    version = 1 if current is None else current.version + 1
    try:
        content = merge_policy(uow, policy, layers).content
    except LayersError as exc:
        if not or_nothing:
            raise
        # The old document could allow what a newer layer forbids; nothing is the safe answer.
        content = PolicyContent([])
        why = {"why": exc.message}
        uow.audit.append("policy.unmergeable", actor, agent_did, why, realms=policy.realms, at=now)
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
            "rules": list[Any](content.rules),
            "limits": content.limits,
        },
        signer=hub.identity.hub_key,
    )
    _put_in_force(uow, agent_did, policy.id, version, envelope, current, actor, now)
    return envelope


def take_signed_policy(
    uow: UnitOfWork,
    hub: Hub,
    agent_did: str,
    policy: PolicyRecord,
    signed: SignedPolicy,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Put a policy in force that an operator has signed for an agent, byte for byte.

    Raises:
        InvalidFieldError: it is not what `policy` and the layers in force make together.
        StateConflictError: its version is not higher than the one in force.
        AccessDeniedError: the hub holds no delegation that lets its signer set policies.
        ExpiredError, WrongAudienceError: the agent would not take it.
        LayersError: no policy of one agent can say this.
    """
    envelope, update = signed.envelope, signed.update
    if envelope.audience != agent_did:
        raise WrongAudienceError("the policy is signed for another agent")
    if envelope.expires is None or now >= envelope.expires:
        raise ExpiredError("the policy has expired")
    merged = merge_policy(uow, policy)
    if (update.rules, update.limits, update.realms) != (
        merged.rules,
        merged.limits,
        policy.realms,
    ):
        raise InvalidFieldError(
            "not what these rules make with the layers in force", pointer="/document"
        )
    current = uow.policies.for_agent(agent_did)
    if current is not None and update.version <= current.version:
        raise StateConflictError(f"version {current.version} is in force, sign a higher one")
    if not may_set_policies(uow, hub, envelope.sender_did):
        raise AccessDeniedError(f"the signer holds no delegation with {_ACTION}")
    for delegation_id in update.proof or ():
        link = uow.delegations.get(delegation_id)
        if link is not None:
            uow.outbox.add(agent_did, OutboxKind.DELEGATION, link.id, link.wire)
    _put_in_force(uow, agent_did, policy.id, update.version, envelope, current, actor, now)


def may_set_policies(uow: UnitOfWork, hub: Hub, signer: str) -> bool:
    """Whether the hub knows why an agent would take a policy from this key; the agent judges."""
    return signer == hub.identity.root_did or any(
        covers_action(str(capability.get("action")), _ACTION)
        for one in uow.delegations.for_subject(signer)
        if one.revoked_at is None
        for capability in one.capabilities
    )


def find_outdated(uow: UnitOfWork, *, after: str, limit: int) -> tuple[str | None, list[str]]:
    """Look at up to `limit` agents after `after` for what no longer is what its layers make.

    Changes nothing, so that a look at everybody keeps nobody from writing.

    Returns:
        The last agent looked at (None: there are no more), and those to refresh.
    """
    layers = load_layers(uow)
    page = uow.policies.in_force_after(after, limit)
    kept = uow.policies.get_many({one.policy_id for one in page})
    made = {id: _merged(policy, layers) for id, policy in kept.items()}
    outdated = []
    for one in page:
        envelope, policy = parse_document(one.wire), kept.get(one.policy_id)
        if policy is None:
            policy = _empty(one, envelope)
            content = _merged(policy, layers)
        else:
            content = made[policy.id]
        if not _is_current(envelope, policy, content):
            outdated.append(one.agent_did)
    return (page[-1].agent_did if len(page) == limit else None), outdated


def refresh_agents(
    uow: UnitOfWork, hub: Hub, dids: Iterable[str], *, actor: str, now: datetime
) -> tuple[list[str], list[str]]:
    """Sign anew what still is not what its layers make, for these agents.

    Returns:
        Those to wake, and those whose policy an operator has signed and must sign again.
    """
    layers = load_layers(uow)
    wake: list[str] = []
    waiting: list[str] = []
    for did in dids:
        agent, one = uow.agents.get(did), uow.policies.for_agent(did)
        if agent is None or agent.state == "revoked" or one is None:
            continue
        envelope = parse_document(one.wire)
        policy = uow.policies.get(one.policy_id) or _empty(one, envelope)
        if _is_current(envelope, policy, _merged(policy, layers)):
            continue
        if not hub.identity.is_own(envelope.sender_did):
            waiting.append(agent.name)
            continue
        sign_policy(
            uow, hub, one.agent_did, policy, actor=actor, now=now, layers=layers, or_nothing=True
        )
        wake.append(one.agent_did)
    return wake, waiting


def renew_expiring(uow: UnitOfWork, hub: Hub, *, now: datetime, before: datetime) -> list[str]:
    """Sign policies anew that expire before `before`; return the agents to wake.

    What an operator has signed only an operator can sign again.
    """
    renewed: list[str] = []
    for one in uow.policies.expiring(before, limit=10_000):
        policy = uow.policies.get(one.policy_id)
        agent = uow.agents.get(one.agent_did)
        if policy is None or agent is None or agent.state == "revoked":
            continue
        if not hub.identity.is_own(signer_of(one)):
            continue
        sign_policy(uow, hub, one.agent_did, policy, actor="hub", now=now, or_nothing=True)
        renewed.append(one.agent_did)
        if len(renewed) == 100:
            break
    return renewed


def realm_layer(realm: str) -> str:
    """Return the name of a realm's layer."""
    return REALM_PREFIX + realm


def applies_to(layer: str, policy: PolicyRecord) -> bool:
    """Whether a layer narrows what `policy` becomes."""
    return layer == FLEET or layer.removeprefix(REALM_PREFIX) in policy.realms


def _merged(policy: PolicyRecord, layers: list[Layer]) -> PolicyContent:
    """Return what an agent's own policy becomes; nothing is allowed where no policy can say it."""
    try:
        return merge_layers(layer_of(AGENT, content_of(policy)), layers, policy.realms).content
    except (LayersError, BadPayloadError):
        return PolicyContent([])


def _is_current(envelope: Envelope, policy: PolicyRecord, content: PolicyContent) -> bool:
    limits = PolicyLimits.model_validate(envelope.payload["limits"])
    return (
        envelope.payload["rules"] == content.rules
        and limits.model_dump(mode="json", by_alias=True) == content.limits
        and envelope.payload["realms"] == list(policy.realms)
    )


def _empty(one: AgentPolicyRecord, envelope: Envelope) -> PolicyRecord:
    realms = envelope.payload["realms"]
    return PolicyRecord(
        id=one.policy_id,
        realms=tuple(str(realm) for realm in realms) if isinstance(realms, list) else (),
        rules=[],
        created_by="hub",
        created_at=one.created_at,
        updated_at=one.created_at,
    )


def _put_in_force(
    uow: UnitOfWork,
    agent_did: str,
    policy_id: str,
    version: int,
    envelope: Envelope,
    current: AgentPolicyRecord | None,
    actor: str,
    now: datetime,
) -> None:
    assert envelope.expires is not None
    uow.documents.put_once(
        DocumentRecord(
            id=envelope.id,
            signer=envelope.sender_did,
            type=envelope.type,
            digest=envelope.digest,
            wire=envelope.wire,
            audience=agent_did,
            expires_at=envelope.expires,
            created_at=now,
        )
    )
    uow.policies.set_for_agent(
        AgentPolicyRecord(
            agent_did=agent_did,
            policy_id=policy_id,
            version=version,
            document_id=envelope.id,
            digest=envelope.digest,
            wire=envelope.wire,
            created_at=now,
            expires_at=envelope.expires,
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
            "policyId": policy_id,
            "version": version,
            "documentId": envelope.id,
            "digest": envelope.digest,
            "signer": envelope.sender_did,
        },
        realms=tuple(cast(list[str], envelope.payload["realms"])),
        at=now,
    )
