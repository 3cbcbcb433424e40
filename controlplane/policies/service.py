"""Policies: written by people for an agent, a realm or the fleet; in force as one per agent.

An agent's own policy is what it may do at all; those of its realms and of the fleet can only take
away from it. Every change is a new version, and what was in force before stays in the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, authorize_one, realms_with
from controlplane.context import Hub
from controlplane.errors import AccessDeniedError, HiddenError, InvalidFieldError
from controlplane.intents.signed import verify_submitted
from controlplane.policies.content import PolicyContent, check_content
from controlplane.policies.demands import LayersError
from controlplane.policies.layers import FLEET, Layer, layer_of
from controlplane.policies.signing import (
    SignedPolicy,
    applies_to,
    find_outdated,
    load_layers,
    merge_policy,
    realm_layer,
    refresh_agents,
    sign_policy,
    take_signed_policy,
)
from protocol.canonical import canonical_json
from protocol.envelope import parse_document
from protocol.messages.policies import PolicyUpdate
from storage.pages import Page
from storage.records import AgentPolicyRecord, AgentRecord, PolicyLayerRecord, PolicyRecord
from storage.unit_of_work import UnitOfWork

_AGENTS_AT_ONCE = 100
_NAMES_SHOWN = 5
_MAX_TOLD_BYTES: Final = 32 * 1024
"""Of a layer in one entry of the record."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy that was put in force.

    Attributes:
        policy: as it is kept.
        version: of the document at the agent, or of the layer.
        in_force: at the agent it is for; None for a layer.
        signed: agents that got a new document.
        waiting: names of agents whose policy an operator signed and must sign again.
    """

    policy: PolicyRecord
    version: int
    in_force: AgentPolicyRecord | None = None
    signed: int = 1
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What an agent's one policy is made of."""

    agent: AgentRecord
    in_force: AgentPolicyRecord | None
    own: PolicyRecord | None
    layers: tuple[tuple[PolicyLayerRecord, PolicyRecord], ...]


async def apply_to_agent(
    hub: Hub,
    actor: Actor,
    *,
    agent: str,
    content: PolicyContent,
    realms: Sequence[str] | None,
    name: str | None,
    document: str | None = None,
) -> Applied:
    """Put a new policy in force at one agent (DID or name), and have it sent.

    Args:
        hub: the parts of the hub.
        actor: who asks.
        agent: whose policy it is.
        content: rules and limits.
        realms: None: those the agent is in.
        name: for people.
        document: the `policy_update` an operator has signed for it; None: the hub signs.

    Raises:
        HiddenError, AccessDeniedError: no such agent for this caller, or a realm beyond theirs.
        InvalidFieldError: the content does not fit, or the document is not made of it.
        LayersError: it cannot be merged with the layers in force.
        StateConflictError: the document's version is too low.
    """
    found = await hub.agents.find(agent)
    if found is None:
        raise HiddenError("no such agent")
    authorize_one(actor, "policies.write", found.realms, see="agents.read")
    chosen = tuple(found.realms if realms is None else realms)
    for realm in chosen:
        authorize(actor, "policies.write", realm=realm)
    check_content(content, chosen)
    signed = None if document is None else _parse_signed(document)
    now = clock.now()
    policy = _record(actor, content, now, name=name, realms=chosen, agents=(found.did,))

    def unit(uow: UnitOfWork) -> tuple[PolicyRecord, AgentPolicyRecord]:
        before = uow.policies.for_agent(found.did)
        if signed is not None and before is not None and before.document_id == signed.envelope.id:
            kept = uow.policies.get(before.policy_id)
            if kept is not None and before.digest == signed.envelope.digest:
                return kept, before
        uow.policies.add(policy)
        if signed is None:
            sign_policy(uow, hub, found.did, policy, actor=actor.subject, now=now)
        else:
            take_signed_policy(uow, hub, found.did, policy, signed, actor=actor.subject, now=now)
        in_force = uow.policies.for_agent(found.did)
        assert in_force is not None
        return policy, in_force

    kept, in_force = await hub.database.write(unit)
    hub.dispatcher.wake(found.did)
    hub.events.emit(
        "policy.signed",
        realm=chosen[0] if chosen else None,
        data={"policyId": kept.id, "agent": found.did, "version": in_force.version},
        subject=kept.id,
    )
    return Applied(kept, in_force.version, in_force)


async def apply_to_layer(
    hub: Hub, actor: Actor, *, realm: str | None, content: PolicyContent, name: str | None
) -> Applied:
    """Narrow every agent of a realm, or of the fleet (`realm` None), by a new policy.

    Raises:
        AccessDeniedError: not the caller's realm; the fleet's needs `policies.write` everywhere.
        InvalidFieldError: the content does not fit, or there is no such realm.
        LayersError: some agent's policy cannot be merged with it; nothing has changed.
    """
    layer = FLEET if realm is None else realm_layer(realm)
    _authorize_layer(actor, layer, realm)
    check_content(content, ())
    now = clock.now()
    policy = _record(
        actor, content, now, name=name, realms=() if realm is None else (realm,), agents=()
    )

    def look(uow: UnitOfWork) -> None:
        if realm is not None and uow.realms.get(realm) is None:
            raise InvalidFieldError(f"no realm {realm}", pointer="/realm")
        _check_mergeable(uow, layer_of(layer, content))

    await hub.database.read(look)

    def unit(uow: UnitOfWork) -> int:
        uow.policies.add(policy)
        record = uow.policies.set_layer(layer, policy.id, now)
        uow.audit.append(
            "policy.layer_set",
            actor.subject,
            layer,
            {
                "policyId": policy.id,
                "version": record.version,
                **_told(policy),
            },
            realms=policy.realms,
            at=now,
        )
        return record.version

    version = await hub.database.write(unit)
    signed, waiting = await refresh_policies(hub, actor.subject)
    hub.events.emit(
        "policy.layer_set",
        realm=realm,
        data={"policyId": policy.id, "layer": layer, "version": version},
        subject=policy.id,
    )
    return Applied(policy, version, None, signed, tuple(waiting))


async def refresh_policies(hub: Hub, actor: str) -> tuple[int, list[str]]:
    """Sign anew every policy that is not what its layers make; safe to do at any time.

    Returns:
        How many were signed, and the names of agents whose policy an operator must sign.
    """
    after: str | None = ""
    signed, waiting = 0, list[str]()
    while after is not None:
        start, now = after, clock.now()
        after, outdated = await hub.database.read(
            lambda uow: find_outdated(uow, after=start, limit=_AGENTS_AT_ONCE)  # noqa: B023
        )
        if not outdated:
            continue
        wake, left = await hub.database.write(
            lambda uow: refresh_agents(uow, hub, outdated, actor=actor, now=now)  # noqa: B023
        )
        signed += len(wake)
        waiting += left
        for did in wake:
            hub.dispatcher.wake(did)
    return signed, waiting


async def list_policies(
    hub: Hub, actor: Actor, limit: int, cursor: str | None, *, agent: str | None = None
) -> Page[tuple[PolicyRecord, Sequence[AgentPolicyRecord], PolicyLayerRecord | None]]:
    """Return a page of the policies the caller may see with where each is in force, newest first.

    With `agent` (DID or name) only those for that agent.
    """
    found = None if agent is None else await hub.agents.find(agent)
    did = agent if found is None else found.did

    def unit(
        uow: UnitOfWork,
    ) -> Page[tuple[PolicyRecord, Sequence[AgentPolicyRecord], PolicyLayerRecord | None]]:
        page = uow.policies.list(
            keep=lambda one: _may_see(actor, one) and (did is None or did in one.agents),
            limit=limit,
            cursor=cursor,
        )
        shown = tuple(
            (one, uow.policies.agents_of(one.id), _layer_in_force(uow, one)) for one in page.items
        )
        return Page(shown, page.next_cursor)

    return await hub.database.read(unit)


async def load_policy(
    hub: Hub, actor: Actor, policy_id: str
) -> tuple[PolicyRecord, Sequence[AgentPolicyRecord], PolicyLayerRecord | None]:
    """Return a policy and where it is in force; `HiddenError` when the caller may not see it."""

    def unit(
        uow: UnitOfWork,
    ) -> tuple[PolicyRecord, Sequence[AgentPolicyRecord], PolicyLayerRecord | None]:
        policy = uow.policies.get(policy_id)
        if policy is None or not _may_see(actor, policy):
            raise HiddenError("no such policy")
        return policy, uow.policies.agents_of(policy_id), _layer_in_force(uow, policy)

    return await hub.database.read(unit)


async def load_standing(hub: Hub, actor: Actor, agent: str) -> Standing:
    """Return what an agent's one policy is made of; `HiddenError` for an agent not to be seen."""

    def unit(uow: UnitOfWork) -> Standing:
        by_did = agent.startswith("did:")
        found = uow.agents.get(agent) if by_did else uow.agents.get_by_name(agent)
        if found is None:
            raise HiddenError("no such agent")
        authorize_one(actor, "policies.read", found.realms, see="agents.read")
        in_force = uow.policies.for_agent(found.did)
        own = None if in_force is None else uow.policies.get(in_force.policy_id)
        realms = found.realms if own is None else own.realms
        layers = []
        for name, record in sorted(uow.policies.layers().items()):
            policy = None if record.policy_id is None else uow.policies.get(record.policy_id)
            if policy is not None and (name == FLEET or policy.realms[0] in realms):
                layers.append((record, policy))
        return Standing(found, in_force, own, tuple(layers))

    return await hub.database.read(unit)


async def delete_policy(hub: Hub, actor: Actor, policy_id: str) -> None:
    """Forget a policy.

    An agent's that is in force is replaced by one that allows nothing; a layer that is in force
    narrows nobody any more.
    """
    policy, in_force, layer = await load_policy(hub, actor, policy_id)
    if policy.agents:
        for realm in policy.realms:
            authorize(actor, "policies.write", realm=realm)
    else:
        bound = policy.realms[0] if policy.realms else None
        _authorize_layer(actor, FLEET if bound is None else realm_layer(bound), bound)
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
            sign_policy(
                uow, hub, one.agent_did, empty, actor=actor.subject, now=now, or_nothing=True
            )
        if layer is not None:
            uow.policies.set_layer(layer.layer, None, now)
        uow.policies.delete(policy_id)
        uow.audit.append(
            "policy.deleted", actor.subject, policy_id, {}, realms=policy.realms, at=now
        )

    await hub.database.write(unit)
    for one in in_force:
        hub.dispatcher.wake(one.agent_did)
    if layer is not None:
        await refresh_policies(hub, actor.subject)


def _told(policy: PolicyRecord) -> dict[str, Any]:
    """Return a layer as the record keeps it: whole, or its hash where an entry has no room."""
    content: dict[str, Any] = {"rules": policy.rules, "limits": policy.limits}
    spelled = canonical_json(content)
    if len(spelled) <= _MAX_TOLD_BYTES:
        return content
    return {"contentSha256": hashlib.sha256(spelled).hexdigest()}


def _check_mergeable(uow: UnitOfWork, new: Layer) -> None:
    layers = [one for one in load_layers(uow) if one.name != new.name] + [new]
    failed: list[str] = []
    after = ""
    while page := uow.policies.in_force_after(after, _AGENTS_AT_ONCE):
        for one in page:
            policy = uow.policies.get(one.policy_id)
            if policy is None or not applies_to(new.name, policy):
                continue
            try:
                merge_policy(uow, policy, layers)
            except LayersError as exc:
                agent = uow.agents.get(one.agent_did)
                failed.append(f"{one.agent_did if agent is None else agent.name} ({exc.message})")
                if len(failed) == _NAMES_SHOWN:
                    break
        if len(failed) == _NAMES_SHOWN:
            break
        after = page[-1].agent_did
    if failed:
        raise LayersError("it cannot be merged with the policy of " + "; ".join(failed))


def _authorize_layer(actor: Actor, layer: str, realm: str | None) -> None:
    if layer == FLEET:
        if realms_with(actor, "policies.write") is not None:
            raise AccessDeniedError("the fleet's policy needs policies.write everywhere")
    else:
        authorize(actor, "policies.write", realm=realm)


def _parse_signed(document: str) -> SignedPolicy:
    envelope = parse_document(document)
    update = verify_submitted(envelope, "policy_update")
    assert isinstance(update, PolicyUpdate)
    return SignedPolicy(envelope, update)


def _record(
    actor: Actor,
    content: PolicyContent,
    now: datetime,
    *,
    name: str | None,
    realms: tuple[str, ...],
    agents: tuple[str, ...],
) -> PolicyRecord:
    return PolicyRecord(
        id=clock.new_id(),
        realms=realms,
        rules=list(content.rules),
        limits=content.limits,
        agents=agents,
        name=name,
        created_by=actor.subject,
        created_at=now,
        updated_at=now,
    )


def _layer_in_force(uow: UnitOfWork, policy: PolicyRecord) -> PolicyLayerRecord | None:
    if policy.agents:
        return None
    name = realm_layer(policy.realms[0]) if policy.realms else FLEET
    record = uow.policies.layers().get(name)
    return record if record is not None and record.policy_id == policy.id else None


def _may_see(actor: Actor, policy: PolicyRecord) -> bool:
    realms = realms_with(actor, "policies.read")
    # The fleet's binds everybody, so everybody who may read policies may read it.
    fleets = not policy.agents and not policy.realms and (realms is None or bool(realms))
    return realms is None or fleets or any(realm in realms for realm in policy.realms)
