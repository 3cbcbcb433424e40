"""`/policies`: what agents may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.policies.decisions import Question, decide_question
from controlplane.policies.service import (
    PolicyContent,
    allow_content,
    create_policy,
    delete_policy,
    list_policies,
    load_policy,
)
from protocol.messages.fields import Action, ActionPattern, Name
from storage.records import AgentPolicyRecord, PolicyRecord


class PolicyView(View):
    """A policy, and the document that carries it to each agent."""

    id: str
    name: str | None
    agent: str | None
    version: int | None
    agents: list[str]
    realms: list[str]
    rules: list[dict[str, Any]]
    limits: dict[str, Any]
    created_by: str
    created_at: str
    in_force: list[dict[str, Any]] | None = None


class CreatePolicyBody(Body):
    """A policy for one agent (DID or name); it replaces the one in force there."""

    agent: Annotated[str, Field(min_length=1, max_length=200)]
    realms: Annotated[list[Name], Field(max_length=64)] | None = None
    name: Annotated[str, Field(max_length=100)] | None = None
    rules: Annotated[list[dict[str, Any]], Field(max_length=256)] | None = None
    limits: dict[str, Any] = Field(default_factory=dict)
    capabilities: Annotated[list[ActionPattern], Field(max_length=64)] | None = None

    def content(self) -> PolicyContent:
        """Return rules and limits; `capabilities` is short for one allow rule."""
        if self.rules is None:
            return PolicyContent(allow_content(self.capabilities or ()).rules, self.limits)
        return PolicyContent(self.rules, self.limits)


class TestPolicyBody(Body):
    """What a policy would say to an order; nothing is changed and nobody is asked."""

    rules: Annotated[list[dict[str, Any]], Field(max_length=256)]
    limits: dict[str, Any] = Field(default_factory=dict)
    realms: list[Name] = Field(default_factory=lambda: ["default"])
    action: Action
    params: dict[str, Any] = Field(default_factory=dict)
    realm: Name = "default"
    caller: Annotated[str, Field(max_length=100)] | None = None
    on_behalf_of: Annotated[str, Field(max_length=100)] | None = None
    agent: Annotated[str, Field(max_length=200)] | None = None


class PolicyListQuery(PageQuery):
    """Only policies that are for this agent (DID or name)."""

    agent: str | None = None


class DecisionView(View):
    """The decision and the rule that made it."""

    effect: str
    rule: str | None
    approval: dict[str, Any] | None
    code: str | None


@operation(
    "POST",
    "/api/v1/policies",
    permission="policies.write",
    body=CreatePolicyBody,
    result=PolicyView,
    status=201,
)
async def create(call: Call) -> Any:
    """Sign a policy for an agent and send it."""
    body = call.body
    policy, in_force = await create_policy(
        call.hub,
        call.actor,
        agent=body.agent,
        content=body.content(),
        realms=body.realms,
        name=body.name,
    )
    return {**policy_view(policy, [in_force]), "inForce": [_in_force_view(in_force)]}


@operation(
    "GET",
    "/api/v1/policies",
    permission="policies.read",
    query=PolicyListQuery,
    result=list[PolicyView],
)
async def list_(call: Call) -> Any:
    """List policies, newest first."""
    query = call.query
    page = await list_policies(call.hub, call.actor, query.limit, query.cursor, agent=query.agent)
    return page_view(page, lambda one: policy_view(*one))


@operation(
    "GET",
    "/api/v1/policies/{id}",
    permission="policies.read",
    result=PolicyView,
)
async def show(call: Call) -> Any:
    """One policy, and where it is in force."""
    policy, in_force = await load_policy(call.hub, call.actor, call.path["id"])
    return {**policy_view(policy, in_force), "inForce": [_in_force_view(one) for one in in_force]}


@operation(
    "DELETE",
    "/api/v1/policies/{id}",
    permission="policies.write",
    status=204,
)
async def delete(call: Call) -> Any:
    """Forget a policy; where it is in force, nothing is allowed from then on."""
    await delete_policy(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "POST",
    "/api/v1/policies/test",
    permission="policies.read",
    body=TestPolicyBody,
    result=DecisionView,
)
async def test(call: Call) -> Any:
    """What would these rules say?"""
    body = call.body
    question = Question(
        content=PolicyContent(body.rules, body.limits),
        realms=tuple(body.realms),
        action=body.action,
        params=body.params,
        realm=body.realm,
        caller=body.caller or call.hub.identity.hub_did,
        on_behalf_of=body.on_behalf_of,
        agent=body.agent,
    )
    return await decide_question(call.hub, call.actor, question)


def policy_view(policy: PolicyRecord, in_force: Sequence[AgentPolicyRecord]) -> dict[str, Any]:
    """Return a policy as clients see it; `version` is that of the agent it was made for."""
    return {
        "id": policy.id,
        "name": policy.name,
        "agent": policy.agents[0] if policy.agents else None,
        "version": in_force[0].version if in_force else None,
        "agents": list(policy.agents),
        "realms": list(policy.realms),
        "rules": policy.rules,
        "limits": policy.limits,
        "createdBy": policy.created_by,
        "createdAt": time_view(policy.created_at),
    }


def _in_force_view(one: AgentPolicyRecord) -> dict[str, Any]:
    return {
        "agent": one.agent_did,
        "version": one.version,
        "documentId": one.document_id,
        "digest": one.digest,
        "document": one.wire.decode(),
        "expiresAt": time_view(one.expires_at),
    }


OPERATIONS = [create, list_, show, delete, test]
