"""Why a policy said what it said: every rule that was looked at, in order, with its reason.

Pure. `decide_policy` decides and this tells; a test holds the two together over random policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controlplane.policies.layers import Source
from protocol.capabilities import covers_action
from protocol.conditions import ConditionContext, compile_condition
from protocol.errors import ConditionError
from protocol.messages.policies import PolicyRule, PolicyUpdate


class Outcome(StrEnum):
    """What became of one rule."""

    DECIDED = "decided"
    OTHER_ACTION = "other_action"
    WHEN_FALSE = "when_false"
    WHEN_ERROR = "when_error"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule and what became of it; `detail` says it to a person."""

    rule: PolicyRule
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons. `decided` is None when no rule allowed it."""

    verdicts: tuple[Verdict, ...]

    @property
    def decided(self) -> Verdict | None:
        """The rule that decided."""
        return next((one for one in self.verdicts if one.outcome is Outcome.DECIDED), None)

    @property
    def allowed(self) -> bool:
        """Whether the order is allowed, people and limits apart."""
        decided = self.decided
        return decided is not None and decided.rule.effect == "allow"

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        decided = self.decided
        if decided is None:
            return "denied: no rule allows it"
        rule = decided.rule
        if rule.effect == "deny":
            return f"denied by rule {rule.id}: {decided.detail}"
        if rule.approval is None:
            return f"allowed by rule {rule.id}: {decided.detail}"
        people = rule.approval.people
        who = " or ".join(rule.approval.from_)
        return f"rule {rule.id} asks {people} of {who}: {decided.detail}"


def explain_policy(update: PolicyUpdate, context: ConditionContext) -> Explanation:
    """Return what each rule says about the order in `context`: denies first, then allows."""
    variables = context.variables()
    verdicts: list[Verdict] = []
    decided: PolicyRule | None = None
    denies = [rule for rule in update.rules if rule.effect == "deny"]
    allows = [rule for rule in update.rules if rule.effect == "allow"]
    for rule in (*denies, *allows):
        if decided is not None:
            detail = f"rule {decided.id} had decided"
            verdicts.append(Verdict(rule, Outcome.NOT_REACHED, detail))
            continue
        verdict = _judge(rule, context.action, variables)
        verdicts.append(verdict)
        if verdict.outcome is Outcome.DECIDED:
            decided = rule
    return Explanation(tuple(verdicts))


def explanation_view(
    explanation: Explanation, sources: Mapping[str, Sequence[Source]] | None = None
) -> dict[str, Any]:
    """Return an explanation as the API and the command line show it."""
    decided = explanation.decided
    rule = None if decided is None else decided.rule
    return {
        "effect": "allow" if explanation.allowed else "deny",
        "rule": None if rule is None else rule.id,
        "code": None if explanation.allowed else "policy_denied",
        "approval": None
        if rule is None or rule.approval is None or not explanation.allowed
        else rule.approval.model_dump(mode="json", by_alias=True),
        "sandbox": None if rule is None else rule.sandbox,
        "domains": None if rule is None or rule.domains is None else list(rule.domains),
        "summary": explanation.summary,
        "rules": [
            {
                "id": one.rule.id,
                "effect": one.rule.effect,
                "outcome": one.outcome.value,
                "detail": one.detail,
                "from": [
                    {"layer": source.layer, "rule": source.rule}
                    for source in (sources or {}).get(one.rule.id, ())
                ],
            }
            for one in explanation.verdicts
        ],
    }


def _judge(rule: PolicyRule, action: str, variables: Mapping[str, object]) -> Verdict:
    if not any(covers_action(name, action) for name in rule.actions):
        names = ", ".join(rule.actions)
        return Verdict(rule, Outcome.OTHER_ACTION, f"it is about {names}")
    if rule.when is None:
        return Verdict(rule, Outcome.DECIDED, "it has no condition")
    try:
        holds = compile_condition(rule.when).evaluate(variables)
    except ConditionError as exc:
        if rule.effect == "deny":
            detail = f"its condition is in error, which denies: {exc.message}"
            return Verdict(rule, Outcome.DECIDED, detail)
        detail = f"its condition is in error, which allows nothing: {exc.message}"
        return Verdict(rule, Outcome.WHEN_ERROR, detail)
    if not holds:
        return Verdict(rule, Outcome.WHEN_FALSE, f"its condition is false: {rule.when}")
    return Verdict(rule, Outcome.DECIDED, f"its condition is true: {rule.when}")
