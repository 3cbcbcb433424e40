"""Owns what a policy says about one order: deny first, then the first allow, else no (SPEC 6, 7).

Pure: the policy in force and its lifetime come in, a decision comes out. Knows nothing of chains,
and only names what an allow demands (approval, sandbox, domains); others see to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from protocol.capabilities import covers_action
from protocol.conditions import ConditionContext, compile_condition
from protocol.errors import ConditionError, NoPolicyError, PolicyExpiredError
from protocol.messages.policies import ApprovalRule, PolicyLimits, PolicyRule, PolicyUpdate

_REMEMBERED_ACTIONS = 1_024


class Effect(StrEnum):
    """What a policy says."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says about one order, and what it demands of an allowed one.

    Attributes:
        effect: allow or deny.
        rule: id of the rule that decided; None: no rule matched, so the default denied.
        policy_version: version of the policy that decided.
        approval: people to ask first; None: nobody.
        sandbox: level to run in; None: the agent's own default.
        domains: hosts the work may reach; None: the agent's own default, empty: none.
    """

    effect: Effect
    rule: str | None
    policy_version: int
    approval: ApprovalRule | None = None
    sandbox: str | None = None
    domains: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy ready to decide; made by `compile_policy`."""

    update: PolicyUpdate
    _by_action: dict[str, tuple[PolicyRule, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def version(self) -> int:
        """Its version; only goes up on one agent."""
        return self.update.version

    @property
    def realms(self) -> tuple[str, ...]:
        """Realms this agent takes orders in; empty: none."""
        return self.update.realms

    @property
    def limits(self) -> PolicyLimits:
        """Sliding windows over accepted orders."""
        return self.update.limits

    def rules_for(self, action: str) -> tuple[PolicyRule, ...]:
        """Return the rules that speak of `action`: every deny first, in the order written."""
        found = self._by_action.get(action)
        if found is None:
            found = tuple(self._matching(action, Effect.DENY)) + tuple(
                self._matching(action, Effect.ALLOW)
            )
            if len(self._by_action) >= _REMEMBERED_ACTIONS:
                self._by_action.clear()
            self._by_action[action] = found
        return found

    def _matching(self, action: str, effect: Effect) -> Iterator[PolicyRule]:
        for rule in self.update.rules:
            if rule.effect == effect.value and any(
                covers_action(name, action) for name in rule.actions
            ):
                yield rule


def compile_policy(update: PolicyUpdate) -> Policy:
    """Return the policy of an authorised update.

    A condition that does not compile is no error here: it is in error each time it is asked.
    """
    return Policy(update)


def decide_policy(
    policy: Policy | None,
    *,
    context: ConditionContext,
    now: datetime,
    expires: datetime | None,
) -> Decision:
    """Return what the policy in force says about the order in `context`.

    An error in a deny's `when` counts as a match, in an allow's as none.

    Args:
        policy: None: the agent holds none.
        context: the order.
        now: aware.
        expires: end of the policy's lifetime, itself not in it; None: it has no end.

    Raises:
        NoPolicyError: there is none.
        PolicyExpiredError: its lifetime has ended.
    """
    if policy is None:
        raise NoPolicyError("no policy is held")
    if expires is not None and now >= expires:
        raise PolicyExpiredError("the policy has expired")
    variables: dict[str, object] | None = None
    for rule in policy.rules_for(context.action):
        if rule.when is not None:
            variables = variables if variables is not None else context.variables()
            try:
                matches = compile_condition(rule.when).evaluate(variables)
            except ConditionError:
                matches = rule.effect == "deny"
            if not matches:
                continue
        if rule.effect == "deny":
            return Decision(Effect.DENY, rule.id, policy.version)
        return Decision(
            Effect.ALLOW, rule.id, policy.version, rule.approval, rule.sandbox, rule.domains
        )
    return Decision(Effect.DENY, None, policy.version)
