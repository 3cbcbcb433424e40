"""What a new policy would have changed: the real orders of the last days, decided by old and new.

The replay knows what the record knows: the order, its signer and its time. Rates and budgets are
counted over the replayed orders, each policy counting what it would have accepted itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from controlplane import clock
from controlplane.access.authorize import Actor, authorize_one
from controlplane.context import Hub
from controlplane.errors import HiddenError
from controlplane.policies.content import PolicyContent, check_content, read_content
from controlplane.policies.decisions import context_of
from controlplane.policies.layers import AGENT, Merged, layer_of, merge_layers
from controlplane.policies.signing import load_layers, merge_policy
from protocol.conditions import ConditionContext
from protocol.errors import BudgetExhaustedError, OrderRateLimitedError
from protocol.limits_window import DAY, UsageRecord, decide_limits, measure_usage
from protocol.policy import Effect, Policy, compile_policy, decide_policy
from protocol.timestamps import format_timestamp
from storage.pages import MAX_PAGE_LIMIT
from storage.records import AgentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork

MAX_ORDERS: Final = 5_000
MAX_DAYS: Final = 90
MAX_SHOWN: Final = 200
_NONE: Final = {"effect": "deny", "rule": None, "code": "no_policy", "approval": None}


@dataclass
class _Replay:
    """One policy going through the orders, oldest first, with what it has accepted so far."""

    policy: Policy | None
    used: deque[UsageRecord] = field(default_factory=deque)

    def decide(self, intent: IntentRecord, agent: AgentRecord) -> dict[str, Any]:
        if self.policy is None:
            return dict(_NONE)
        at = intent.accepted_at or intent.created_at
        while self.used and self.used[0].at <= at - DAY:
            self.used.popleft()
        usage = measure_usage(self.used, at)
        context = context_of(
            intent,
            agent,
            {
                "tokens_today": usage.tokens_today,
                "cents_today": usage.cents_today,
                "orders_this_hour": usage.orders_this_hour,
            },
        )
        decided = self._decide(context)
        if decided["effect"] == "allow":
            try:
                decide_limits(self.policy.limits, usage)
            except (OrderRateLimitedError, BudgetExhaustedError) as exc:
                return {**decided, "effect": "deny", "code": exc.code, "approval": None}
            spent = (intent.result or {}).get("usage") or {}
            tokens, cents = spent.get("tokens", 0), spent.get("cents", 0)
            self.used.append(
                UsageRecord(
                    at,
                    tokens if isinstance(tokens, int) else 0,
                    cents if isinstance(cents, int | float) else 0,
                )
            )
        return decided

    def _decide(self, context: ConditionContext) -> dict[str, Any]:
        assert self.policy is not None
        if context.realm not in self.policy.realms:
            return {"effect": "deny", "rule": None, "code": "wrong_realm", "approval": None}
        decision = decide_policy(self.policy, context=context, now=context.now, expires=None)
        allowed = decision.effect is Effect.ALLOW
        asked = decision.approval
        return {
            "effect": "allow" if allowed else "deny",
            "rule": decision.rule,
            "code": None if allowed else "policy_denied",
            "approval": None
            if asked is None
            else asked.model_dump(mode="json", by_alias=True, exclude_none=True),
            "sandbox": decision.sandbox,
            "domains": None if decision.domains is None else list(decision.domains),
        }


async def replay_policy(
    hub: Hub, actor: Actor, *, agent: str, content: PolicyContent, days: int
) -> dict[str, Any]:
    """Return what `content` as an agent's own policy would have changed in the last `days` days.

    Returns:
        Counts, whether older orders were left out, and the newest changes with before and after.

    Raises:
        HiddenError: no such agent for this caller.
        InvalidFieldError, LayersError: rules that could not be put in force.
    """
    since = clock.now() - timedelta(days=days)

    def unit(uow: UnitOfWork) -> dict[str, Any]:
        by_did = agent.startswith("did:")
        found = uow.agents.get(agent) if by_did else uow.agents.get_by_name(agent)
        if found is None:
            raise HiddenError("no such agent")
        authorize_one(actor, "policies.read", found.realms, see="agents.read")
        in_force = uow.policies.for_agent(found.did)
        own = None if in_force is None else uow.policies.get(in_force.policy_id)
        realms = found.realms if own is None else own.realms
        check_content(content, realms)
        layers = load_layers(uow)
        new = merge_layers(layer_of(AGENT, content), layers, realms)
        old = None if own is None else merge_policy(uow, own, layers)
        replays = (
            _Replay(None if old is None else _compiled(old, realms)),
            _Replay(_compiled(new, realms)),
        )
        orders, more = _orders_since(uow, found.did, since)
        return _compare(orders, found, replays, more)

    return await hub.database.read(unit)


def _compiled(merged: Merged, realms: tuple[str, ...]) -> Policy:
    return compile_policy(read_content(merged.content, realms))


def _orders_since(
    uow: UnitOfWork, agent_did: str, since: datetime
) -> tuple[list[IntentRecord], bool]:
    """Return an agent's orders since then, oldest first, and whether older ones were left out."""
    found: list[IntentRecord] = []
    cursor: str | None = None
    while True:
        page = uow.intents.list(agent_did=agent_did, limit=MAX_PAGE_LIMIT, cursor=cursor)
        for one in page.items:
            if one.created_at < since:
                return found[::-1], False
            if len(found) == MAX_ORDERS:
                return found[::-1], True
            found.append(one)
        cursor = page.next_cursor
        if cursor is None:
            return found[::-1], False


def _compare(
    orders: list[IntentRecord], agent: AgentRecord, replays: tuple[_Replay, _Replay], more: bool
) -> dict[str, Any]:
    changes: deque[dict[str, Any]] = deque(maxlen=MAX_SHOWN)
    counts = {"nowRefused": 0, "nowAllowed": 0, "nowAsked": 0, "otherwise": 0}
    for intent in orders:
        before, after = (replay.decide(intent, agent) for replay in replays)
        kind = _kind(before, after)
        if kind is None:
            continue
        counts[kind] += 1
        changes.appendleft(
            {
                "intentId": intent.id,
                "action": intent.action,
                "realm": intent.realm,
                "createdAt": format_timestamp(intent.created_at),
                "change": kind,
                "before": before,
                "after": after,
            }
        )
    return {
        "agent": agent.did,
        "orders": len(orders),
        "truncated": more,
        "changed": sum(counts.values()),
        **counts,
        "changes": list(changes),
    }


def _kind(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """Return what kind of change it is; None where nothing that matters differs."""
    if before["effect"] != after["effect"]:
        return "nowAllowed" if after["effect"] == "allow" else "nowRefused"
    demands = ("approval", "sandbox", "domains", "code")
    if all(before.get(name) == after.get(name) for name in demands):
        return None
    if before.get("approval") is None and after.get("approval") is not None:
        return "nowAsked"
    return "otherwise"
