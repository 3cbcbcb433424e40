"""Which agents a delegation concerns: those it names, in the realms it names.

Pure. An agent that a delegation does not concern could do nothing with it, and need not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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


def reached_agents(uow: UnitOfWork, delegation: DelegationRecord) -> list[str]:
    """Return the DIDs of the enrolled, unrevoked agents that a delegation concerns."""
    return [
        agent.did
        for agent in uow.agents.matching(states=("active", "quarantined"))
        if reaches(delegation.capabilities, agent)
    ]
