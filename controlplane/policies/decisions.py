"""What would a policy say? The agent's own decision function, asked at the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize_one
from controlplane.context import Hub
from controlplane.errors import HiddenError
from controlplane.policies.service import PolicyContent, check_content, content_payload
from protocol.conditions import ConditionContext
from protocol.messages.policies import PolicyUpdate
from protocol.messages.registry import parse_payload
from protocol.policy import compile_policy, decide_policy

_NOBODY = "did:key:z6MknobodyIsOrderedWhenAPolicyIsOnlyTested111111"


@dataclass(frozen=True, slots=True)
class Question:
    """An order that is not given, and the rules it is held against."""

    content: PolicyContent
    realms: tuple[str, ...]
    action: str
    params: dict[str, Any]
    realm: str
    caller: str
    on_behalf_of: str | None
    agent: str | None


async def decide_question(hub: Hub, actor: Actor, question: Question) -> dict[str, Any]:
    """Return effect, rule, approval and the refusal's code, as the agent would decide.

    Raises:
        HiddenError: no such agent for this caller.
        InvalidFieldError: rules that no agent would read.
    """
    did, name, labels = _NOBODY, "", {}
    if question.agent is not None:
        agent = await hub.agents.find(question.agent)
        if agent is None:
            raise HiddenError("no such agent")
        authorize_one(actor, "policies.read", agent.realms, see="agents.read")
        did, name, labels = agent.did, agent.name, agent.labels
    check_content(question.content, question.realms)
    update = parse_payload("policy_update", content_payload(question.content, question.realms))
    assert isinstance(update, PolicyUpdate)
    if question.realm not in question.realms:
        return {"effect": "deny", "rule": None, "approval": None, "code": "wrong_realm"}
    now = clock.now()
    decision = decide_policy(
        compile_policy(update),
        context=ConditionContext(
            action=question.action,
            params=question.params,
            realm=question.realm,
            caller_did=question.caller,
            on_behalf_of=question.on_behalf_of,
            now=now,
            agent_did=did,
            agent_name=name,
            agent_labels=labels,
        ),
        now=now,
        expires=None,
    )
    approval = decision.approval
    return {
        "effect": decision.effect.value,
        "rule": decision.rule,
        "approval": None
        if approval is None
        else approval.model_dump(mode="json", by_alias=True, exclude_none=True),
        "code": None if decision.effect.value == "allow" else "policy_denied",
    }
