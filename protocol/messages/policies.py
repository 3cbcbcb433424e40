"""What an agent may do: policies, and the configuration of one agent (SPEC section 6)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from protocol.messages.fields import (
    Absent,
    ActionPattern,
    Approver,
    Condition,
    Count,
    DocumentPayload,
    HostPattern,
    Id,
    JsonObject,
    Many,
    Name,
    Proof,
    RuleId,
    Version,
)


class ApprovalRule(DocumentPayload):
    """How many people, out of whom, within what time; `from_` holds DIDs, role names or `*`."""

    people: Annotated[int, Field(ge=1, le=32)]
    from_: Annotated[Many[Approver], Field(alias="from", min_length=1, max_length=64)]
    within_seconds: Annotated[int, Field(ge=1, le=2_592_000)]
    operator_signed: Absent[bool] = None


class PolicyRule(DocumentPayload):
    """One rule: the actions it speaks of, when, and what it demands."""

    id: RuleId
    effect: Literal["allow", "deny"]
    actions: Annotated[Many[ActionPattern], Field(min_length=1, max_length=64)]
    when: Absent[Condition] = None
    approval: Absent[ApprovalRule] = None
    sandbox: Absent[Name] = None
    domains: Absent[Annotated[Many[HostPattern], Field(max_length=64)]] = None


class PolicyLimits(DocumentPayload):
    """Sliding windows over accepted orders; absent is unlimited. Money is in cents."""

    orders_per_hour: Absent[Count] = None
    orders_per_day: Absent[Count] = None
    concurrent: Absent[Annotated[int, Field(ge=1, le=10_000)]] = None
    tokens_per_day: Absent[Count] = None
    cents_per_day: Absent[Count] = None


class PolicyUpdate(DocumentPayload):
    """The whole policy of one agent; what no rule allows is denied."""

    policy_id: Id
    version: Version
    realms: Annotated[Many[Name], Field(max_length=64)]
    default: Literal["deny"]
    rules: Annotated[Many[PolicyRule], Field(max_length=256)]
    limits: PolicyLimits
    proof: Absent[Proof] = None

    @model_validator(mode="after")
    def _one_rule_per_id(self) -> Self:
        # `decision.rule` names a rule by its id; two of one name would make the record ambiguous.
        if len({rule.id for rule in self.rules}) != len(self.rules):
            raise ValueError("rule ids must differ")
        return self


class LlmConfig(DocumentPayload):
    """The language model settings of one agent; `config` is read by the agent's LLM part."""

    version: Version
    config: JsonObject
    proof: Absent[Proof] = None


class SkillsConfig(DocumentPayload):
    """The skills of one agent; `config` is read by the agent's skills part."""

    version: Version
    config: JsonObject
    proof: Absent[Proof] = None
