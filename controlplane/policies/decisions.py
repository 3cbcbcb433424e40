"""What would a policy say, and why did it say that? The agent's own decision, asked at the hub.

Nothing is changed and nobody is asked. Limits and people are not part of the answer: it is step 5
of SPEC section 7, and step 3's realm before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize_one
from controlplane.context import Hub
from controlplane.errors import HiddenError
from controlplane.policies.content import PolicyContent, check_content
from controlplane.policies.explanation import explain_policy, explanation_view
from controlplane.policies.layers import Source
from controlplane.policies.signing import load_layers, merge_policy
from protocol.conditions import ConditionContext
from protocol.envelope import parse_document
from protocol.messages.policies import PolicyUpdate
from protocol.messages.registry import parse_payload
from storage.records import AgentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork

NOBODY = "did:key:z6MknobodyIsOrderedWhenAPolicyIsOnlyTested111111"


@dataclass(frozen=True, slots=True)
class Question:
    """An order that is not given. `agent` is a DID or a name; None: no agent in particular."""

    action: str
    params: dict[str, Any]
    realm: str
    caller: str
    on_behalf_of: str | None
    agent: str | None

    def context(self, agent: AgentRecord | None, now: datetime) -> ConditionContext:
        """Return it as conditions see it: signed by a key that the root has delegated to."""
        return ConditionContext(
            action=self.action,
            params=self.params,
            realm=self.realm,
            caller_did=self.caller,
            on_behalf_of=self.on_behalf_of,
            depth=1,
            now=now,
            agent_did=NOBODY if agent is None else agent.did,
            agent_name="" if agent is None else agent.name,
            agent_labels={} if agent is None else agent.labels,
        )


async def decide_question(
    hub: Hub, actor: Actor, question: Question, content: PolicyContent, realms: Sequence[str]
) -> dict[str, Any]:
    """Return what these rules would say, as they stand, without any layer.

    Raises:
        HiddenError: no such agent for this caller.
        InvalidFieldError: rules that no agent would read.
    """
    agent = None
    if question.agent is not None:
        agent = await hub.agents.find(question.agent)
        if agent is None:
            raise HiddenError("no such agent")
        authorize_one(actor, "policies.read", agent.realms, see="agents.read")
    update = check_content(content, realms)
    return explain_update(update, question.context(agent, clock.now()))


async def explain_question(hub: Hub, actor: Actor, question: Question) -> dict[str, Any]:
    """Return what the policy in force at an agent would say to an order, rule by rule.

    Raises:
        HiddenError: no such agent for this caller.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> dict[str, Any]:
        name = question.agent or ""
        agent = uow.agents.get(name) if name.startswith("did:") else uow.agents.get_by_name(name)
        if agent is None:
            raise HiddenError("no such agent")
        authorize_one(actor, "policies.read", agent.realms, see="agents.read")
        held = _policy_of(uow, agent.did, None)
        return _explained(uow, agent.did, held, question.context(agent, now))

    return await hub.database.read(unit)


async def explain_intent(hub: Hub, actor: Actor, intent_id: str) -> dict[str, Any]:
    """Return why an order was allowed or refused: by the version of the policy that decided it.

    Beside the rules stands `decided`: what the agent itself has signed about it.

    Raises:
        HiddenError: no such order for this caller.
    """

    def unit(uow: UnitOfWork) -> dict[str, Any]:
        intent = uow.intents.get(intent_id)
        if intent is None:
            raise HiddenError("no such intent")
        authorize_one(actor, "policies.read", (intent.realm,), see="intents.read")
        decided = decision_of(intent)
        version = None if decided is None else decided["policyVersion"]
        held = _policy_of(uow, intent.agent_did, version)
        context = context_of(intent, uow.agents.get(intent.agent_did))
        answer = _explained(uow, intent.agent_did, held, context)
        if decided is not None and decided["code"] not in (None, "policy_denied"):
            answer["summary"] = f"{decided['code']}: {decided['message']}; {answer['summary']}"
        return {**answer, "intentId": intent.id, "decided": decided}

    return await hub.database.read(unit)


def decision_of(intent: IntentRecord) -> dict[str, Any] | None:
    """Return what the agent's result says of its decision; None before there is one."""
    result = intent.result or {}
    decision = result.get("decision")
    if not isinstance(decision, dict):
        return None
    error = result.get("error") or {}
    return {
        "status": result.get("status"),
        "policyVersion": decision.get("policyVersion"),
        "rule": decision.get("rule"),
        "code": error.get("code"),
        "message": error.get("message"),
    }


def context_of(
    intent: IntentRecord, agent: AgentRecord | None, budget: Mapping[str, Any] | None = None
) -> ConditionContext:
    """Return an order of the past as conditions saw it; labels and name are those of today."""
    return ConditionContext(
        action=intent.action,
        params=intent.params,
        realm=intent.realm,
        caller_did=intent.signer,
        on_behalf_of=intent.on_behalf_of,
        depth=len(intent.delegation_ids) or 1,
        now=intent.accepted_at or intent.created_at,
        agent_did=intent.agent_did,
        agent_name=intent.agent_name,
        agent_labels={} if agent is None else agent.labels,
        **(budget or {}),
    )


def explain_update(
    update: PolicyUpdate,
    context: ConditionContext,
    sources: Mapping[str, Sequence[Source]] | None = None,
) -> dict[str, Any]:
    """Return effect, rule, approval, code and the reasons; a realm outside the policy's first."""
    answer = explanation_view(explain_policy(update, context), sources)
    if context.realm in update.realms:
        return answer
    return {
        **answer,
        "effect": "deny",
        "rule": None,
        "approval": None,
        "code": "wrong_realm",
        "summary": f"denied: the policy takes no orders in realm {context.realm}",
    }


@dataclass(frozen=True, slots=True)
class _Held:
    """A policy document, and whether it is the one that was asked for."""

    update: PolicyUpdate
    policy_id: str
    exact: bool


def _policy_of(uow: UnitOfWork, agent_did: str, version: int | None) -> _Held | None:
    """Return a version of an agent's policy, or the newest where that one is gone."""
    in_force = uow.policies.for_agent(agent_did)
    if in_force is None:
        return None
    wanted = in_force.version if version is None else version
    if in_force.version != wanted:
        for record in uow.documents.policies_for(agent_did):
            update = _read(record.wire)
            if update.version == wanted:
                return _Held(update, update.policy_id, True)
    return _Held(_read(in_force.wire), in_force.policy_id, in_force.version == wanted)


def _read(wire: bytes) -> PolicyUpdate:
    update = parse_payload("policy_update", parse_document(wire).payload)
    assert isinstance(update, PolicyUpdate)
    return update


def _explained(
    uow: UnitOfWork, agent_did: str, held: _Held | None, context: ConditionContext
) -> dict[str, Any]:
    if held is None:
        return {
            "agent": agent_did,
            "effect": "deny",
            "rule": None,
            "code": "no_policy",
            "approval": None,
            "sandbox": None,
            "domains": None,
            "summary": "denied: the agent has no policy",
            "rules": [],
            "policyVersion": None,
            "exactVersion": False,
        }
    sources: Mapping[str, Sequence[Source]] = {}
    own = uow.policies.get(held.policy_id)
    if own is not None:
        merged = merge_policy(uow, own, load_layers(uow))
        # Layers may have changed since: then nobody knows any more where a rule came from.
        if merged.rules == held.update.rules:
            sources = merged.sources
    answer = explain_update(held.update, context, sources)
    return {
        "agent": agent_did,
        **answer,
        "policyVersion": held.update.version,
        "exactVersion": held.exact,
    }
