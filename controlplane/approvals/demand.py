"""Whom a waiting call asks: read from the policy when it is asked, and kept with the question.

What is kept only lets the hub turn away early what the agent would not count, and tell people who
is asked. Whether a decision counts is the agent's to judge, by the rule on its own disk.
"""

from __future__ import annotations

from typing import Any

from protocol.envelope import parse_document
from storage.records import ApprovalRecord
from storage.unit_of_work import UnitOfWork


def demand_of(uow: UnitOfWork, agent_did: str, rule_id: str) -> dict[str, Any] | None:
    """Return the `approval` of a rule of the policy in force at an agent; None: no such rule."""
    in_force = uow.policies.for_agent(agent_did)
    if in_force is None:
        return None
    rules = parse_document(in_force.wire).payload["rules"]
    for rule in rules if isinstance(rules, list) else ():
        if isinstance(rule, dict) and rule.get("id") == rule_id:
            asked = rule.get("approval")
            return asked if isinstance(asked, dict) else None
    return None


def named_in(approval: ApprovalRecord) -> frozenset[str] | None:
    """Return the DIDs, roles and `*` that a question names; None where nobody knows."""
    if approval.demand is None:
        return None
    named = approval.demand.get("from")
    return frozenset(str(one) for one in named) if isinstance(named, list) else frozenset()


def must_sign(approval: ApprovalRecord) -> bool:
    """Whether only decisions signed by their person's own key count."""
    return bool((approval.demand or {}).get("operatorSigned"))
