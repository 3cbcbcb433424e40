"""Which agents a delegation concerns: those it names, in the realms it names, and its subject.

An agent that a delegation does not concern could do nothing with it, and need not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from protocol import limits
from storage.records import AgentRecord, DelegationRecord
from storage.unit_of_work import UnitOfWork


def reaches(capabilities: Iterable[Mapping[str, Any]], agent: AgentRecord) -> bool:
    """Whether some capability names the agent (or all) and one of its realms (or all)."""
    for capability in capabilities:
        realms, agents = capability.get("realms"), capability.get("agents")
        if (agents is None or agent.did in agents) and (
            realms is None or not set(realms).isdisjoint(agent.realms)
        ):
            return True
    return False


def is_seen_from(delegation: DelegationRecord, realms: Collection[str] | None) -> bool:
    """Whether some capability reaches one of `realms` (None: every); one without realms does."""
    return realms is None or any(
        one.get("realms") is None or not set(realms).isdisjoint(one["realms"])
        for one in delegation.capabilities
    )


def reached_agents(uow: UnitOfWork, delegation: DelegationRecord) -> list[str]:
    """Return the DIDs of the enrolled, unrevoked agents that a delegation concerns."""
    return [
        agent.did
        for agent in uow.agents.matching(states=("active", "quarantined"))
        if delegation.subject == agent.did or reaches(delegation.capabilities, agent)
    ]


def above(uow: UnitOfWork, delegation: DelegationRecord) -> list[DelegationRecord]:
    """Return what a delegation was lent out of, root first; its subject needs it as proof."""
    found: list[DelegationRecord] = []
    parent = delegation.parent_digest
    while parent is not None and len(found) < limits.MAX_CHAIN_LINKS:
        record = uow.delegations.get_by_digest(parent)
        if record is None:
            break
        found.insert(0, record)
        parent = record.parent_digest
    return found
