"""`/policies`: what agents may do, why, and what another policy would change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.shapes import Approval, DecidedView, Effect, Limits, Rule
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.policies.content import PolicyContent, allow_content
from controlplane.policies.decisions import (
    Question,
    decide_question,
    explain_intent,
    explain_question,
)
from controlplane.policies.explanation import Outcome
from controlplane.policies.history import MAX_DAYS, replay_policy
from controlplane.policies.service import (
    apply_to_agent,
    apply_to_layer,
    delete_policy,
    list_policies,
    load_policy,
    load_standing,
)
from controlplane.policies.signing import signer_of
from protocol.messages.fields import Action, ActionPattern, Id, Name
from storage.records import AgentPolicyRecord, PolicyLayerRecord, PolicyRecord


class InForceView(View):
    """The document that carries a policy to one agent; `document` is JSON text as signed."""

    agent: str
    version: int
    document_id: str
    digest: str
    signer: str
    document: str
    expires_at: str


class PolicyView(View):
    """A policy, and the document that carries it to each agent.

    `layer` says whom it is for: `agent`, `realm:<name>` or `fleet`. `version` is that of the
    agent's document or of the layer; null where it is not in force.
    """

    id: str
    name: str | None
    layer: str
    agent: str | None
    version: int | None
    agents: list[str]
    realms: list[str]
    rules: list[Rule]
    limits: Limits
    created_by: str
    created_at: str
    in_force: list[InForceView] | None = None
    signed: int | None = None
    waiting: list[str] | None = None


class StandingView(View):
    """What an agent's one policy is made of; `policy` is what it holds, merged and signed."""

    agent: str
    realms: list[str]
    policy: InForceView | None
    own: PolicyView | None
    layers: list[PolicyView]


class CreatePolicyBody(Body):
    """A policy for one agent (DID or name), a realm or the fleet; it replaces the one before.

    `document` is the agent's `policy_update` signed by an operator; the hub then signs nothing.
    """

    agent: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    realm: Name | None = None
    fleet: bool = False
    realms: Annotated[list[Name], Field(max_length=64)] | None = None
    name: Annotated[str, Field(max_length=100)] | None = None
    rules: Annotated[list[Rule], Field(max_length=256)] | None = None
    limits: Limits = Field(default_factory=dict)
    capabilities: Annotated[list[ActionPattern], Field(max_length=64)] | None = None
    document: str | None = None

    @model_validator(mode="after")
    def _for_somebody(self) -> CreatePolicyBody:
        if (self.agent is not None) + (self.realm is not None) + self.fleet != 1:
            raise ValueError("name one of agent, realm and fleet")
        if self.agent is None and (self.realms is not None or self.document is not None):
            raise ValueError("realms and document go with an agent's policy")
        return self

    def content(self) -> PolicyContent:
        """Return rules and limits; `capabilities` is short for one allow rule."""
        if self.rules is None:
            return PolicyContent(allow_content(self.capabilities or ()).rules, self.limits)
        return PolicyContent(self.rules, self.limits)


class OrderBody(Body):
    """An order that is not given."""

    action: Action
    params: dict[str, Any] = Field(default_factory=dict)
    realm: Name = "default"
    caller: Annotated[str, Field(max_length=100)] | None = None
    on_behalf_of: Annotated[str, Field(max_length=100)] | None = None

    def question(self, call: Call, agent: str | None) -> Question:
        """Return it as a question; the hub gives it unless another caller is named."""
        return Question(
            action=self.action,
            params=self.params,
            realm=self.realm,
            caller=self.caller or call.hub.identity.hub_did,
            on_behalf_of=self.on_behalf_of,
            agent=agent,
        )


class TestPolicyBody(OrderBody):
    """What a policy would say to an order; nothing is changed and nobody is asked."""

    rules: Annotated[list[Rule], Field(max_length=256)]
    limits: Limits = Field(default_factory=dict)
    realms: list[Name] = Field(default_factory=lambda: ["default"])
    agent: Annotated[str, Field(max_length=200)] | None = None


class ExplainBody(Body):
    """Why an order was decided as it was (`intent`), or what an agent would say to one."""

    intent: Id | None = None
    agent: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    action: Action | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    realm: Name = "default"
    caller: Annotated[str, Field(max_length=100)] | None = None
    on_behalf_of: Annotated[str, Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _about_something(self) -> ExplainBody:
        if (self.intent is None) == (self.agent is None or self.action is None):
            raise ValueError("name an intent, or an agent and an action")
        return self


class DiffBody(Body):
    """What these rules, as an agent's own policy, would have changed in the last days."""

    agent: Annotated[str, Field(min_length=1, max_length=200)]
    rules: Annotated[list[Rule], Field(max_length=256)]
    limits: Limits = Field(default_factory=dict)
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = 7


class PolicyListQuery(PageQuery):
    """Only policies that are for this agent (DID or name)."""

    agent: str | None = None


class SourceView(View):
    """The rule of a layer that a merged rule comes from."""

    layer: str
    rule: str


class VerdictView(View):
    """What became of one rule."""

    id: str
    effect: Effect
    outcome: Outcome
    detail: str
    from_: list[SourceView] = Field(alias="from")


class DecisionView(View):
    """The decision, the rule that made it, and what became of every other."""

    effect: Effect
    rule: str | None
    approval: Approval | None
    code: str | None
    sandbox: str | None
    domains: list[str] | None
    summary: str
    rules: list[VerdictView]


class ExplanationView(DecisionView):
    """The same for a policy in force; `decided` is what the agent signed about the order.

    `exactVersion` is false where the version that decided is no longer held.
    """

    agent: str
    policy_version: int | None
    exact_version: bool
    intent_id: str | None = None
    decided: DecidedView | None = None


class ReplayedView(View):
    """How an order of the past would be decided."""

    effect: Effect
    rule: str | None
    code: str | None
    approval: Approval | None
    sandbox: str | None = None
    domains: list[str] | None = None


class ChangeView(View):
    """An order that would have ended otherwise."""

    intent_id: str
    action: str
    realm: str
    created_at: str
    change: Literal["nowRefused", "nowAllowed", "nowAsked", "otherwise"]
    before: ReplayedView
    after: ReplayedView


class DiffView(View):
    """How many orders would have ended otherwise, and the newest of them."""

    agent: str
    orders: int
    truncated: bool
    changed: int
    now_refused: int
    now_allowed: int
    now_asked: int
    otherwise: int
    changes: list[ChangeView]


@operation(
    "POST",
    "/api/v1/policies",
    permission="policies.write",
    body=CreatePolicyBody,
    result=PolicyView,
    status=201,
    errors=(
        "not_found",
        "conflict",
        "policies_conflict",
        "bad_json",
        "bad_envelope",
        "frame_too_large",
        "bad_signature",
        "forbidden_type",
        "bad_payload",
        "expired",
        "wrong_audience",
        "id_reuse",
    ),
)
async def create(call: Call) -> Any:
    """Put a policy in force at an agent, in a realm or everywhere."""
    body = call.body
    if body.agent is not None:
        made = await apply_to_agent(
            call.hub,
            call.actor,
            agent=body.agent,
            content=body.content(),
            realms=body.realms,
            name=body.name,
            document=body.document,
        )
        assert made.in_force is not None
        shown = policy_view(made.policy, [made.in_force], None)
        return {**shown, "inForce": [_in_force_view(made.in_force)]}
    made = await apply_to_layer(
        call.hub, call.actor, realm=body.realm, content=body.content(), name=body.name
    )
    return {
        **policy_view(made.policy, [], None),
        "version": made.version,
        "signed": made.signed,
        "waiting": list(made.waiting),
    }


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
    policy, in_force, layer = await load_policy(call.hub, call.actor, call.path["id"])
    return {
        **policy_view(policy, in_force, layer),
        "inForce": [_in_force_view(one) for one in in_force],
    }


@operation(
    "GET",
    "/api/v1/agents/{did}/policy",
    permission="policies.read",
    result=StandingView,
)
async def standing(call: Call) -> Any:
    """An agent's one policy, and the policies it is merged of."""
    found = await load_standing(call.hub, call.actor, call.path["did"])
    in_force, own = found.in_force, found.own
    return {
        "agent": found.agent.did,
        "realms": list(found.agent.realms if own is None else own.realms),
        "policy": None if in_force is None else _in_force_view(in_force),
        "own": None
        if own is None
        else policy_view(own, [] if in_force is None else [in_force], None),
        "layers": [policy_view(policy, [], layer) for layer, policy in found.layers],
    }


@operation(
    "DELETE",
    "/api/v1/policies/{id}",
    permission="policies.write",
    status=204,
)
async def delete(call: Call) -> Any:
    """Forget a policy; an agent's is replaced by one that allows nothing."""
    await delete_policy(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "POST",
    "/api/v1/policies/test",
    permission="policies.read",
    body=TestPolicyBody,
    result=DecisionView,
    errors=("not_found",),
)
async def test(call: Call) -> Any:
    """What would these rules say?"""
    body = call.body
    return await decide_question(
        call.hub,
        call.actor,
        body.question(call, body.agent),
        PolicyContent(body.rules, body.limits),
        tuple(body.realms),
    )


@operation(
    "POST",
    "/api/v1/policies/explain",
    permission="policies.read",
    body=ExplainBody,
    result=ExplanationView,
    errors=("not_found",),
)
async def explain(call: Call) -> Any:
    """Which rule decided, and why no other did."""
    body = call.body
    if body.intent is not None:
        return await explain_intent(call.hub, call.actor, body.intent)
    question = Question(
        action=body.action,
        params=body.params,
        realm=body.realm,
        caller=body.caller or call.hub.identity.hub_did,
        on_behalf_of=body.on_behalf_of,
        agent=body.agent,
    )
    return await explain_question(call.hub, call.actor, question)


@operation(
    "POST",
    "/api/v1/policies/diff",
    permission="policies.read",
    body=DiffBody,
    result=DiffView,
    errors=("not_found", "policies_conflict"),
)
async def diff(call: Call) -> Any:
    """What would another policy have changed in the last days?"""
    body = call.body
    return await replay_policy(
        call.hub,
        call.actor,
        agent=body.agent,
        content=PolicyContent(body.rules, body.limits),
        days=body.days,
    )


def policy_view(
    policy: PolicyRecord, in_force: Sequence[AgentPolicyRecord], layer: PolicyLayerRecord | None
) -> dict[str, Any]:
    """Return a policy as clients see it."""
    if policy.agents:
        version = in_force[0].version if in_force else None
        name = "agent"
    else:
        version = None if layer is None else layer.version
        name = f"realm:{policy.realms[0]}" if policy.realms else "fleet"
    return {
        "id": policy.id,
        "name": policy.name,
        "layer": name,
        "agent": policy.agents[0] if policy.agents else None,
        "version": version,
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
        "signer": signer_of(one),
        "document": one.wire.decode(),
        "expiresAt": time_view(one.expires_at),
    }


OPERATIONS = [create, list_, show, standing, delete, test, explain, diff]
