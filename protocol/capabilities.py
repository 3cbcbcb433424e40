"""Owns what a capability covers and when one is inside another (SPEC section 6).

Absent `realms` or `agents` means all, an empty list none. `namespace.*` covers what lies below it,
`*` everything but `writ.*`, and a `writ.*` action is covered by its own name only. Knows nothing
of signatures, chains and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protocol.ids import is_action
from protocol.messages.delegations import Capability

CONTROL_PREFIX = "writ."
"""Actions that steer agents themselves; no pattern covers one."""


def covers_action(granted: str, action: str) -> bool:
    """Whether the name or pattern `granted` covers the action `action`.

    A pattern never covers an action under `writ.`, and nothing covers what is not the name of an
    action. `files.*` covers `files.read` and `files.read.raw`, not `files`.
    """
    if not is_action(action):
        return False
    if granted == action:
        return True
    if action.startswith(CONTROL_PREFIX):
        return False
    if granted == "*":
        return True
    return _is_namespace(granted) and action.startswith(granted[:-1])


def covers_pattern(parent: str, child: str) -> bool:
    """Whether every action that `child` covers is covered by `parent` too."""
    if parent == child:
        return True
    if is_action(child):
        return covers_action(parent, child)
    if not _is_namespace(child) or child.startswith(CONTROL_PREFIX):
        return False
    return parent == "*" or (_is_namespace(parent) and child.startswith(parent[:-1]))


def is_narrower(child: Capability, parent: Capability) -> bool:
    """Whether `child` grants nothing that `parent` does not; equal counts as narrower."""
    return (
        covers_pattern(parent.action, child.action)
        and _is_subset(child.realms, parent.realms)
        and _is_subset(child.agents, parent.agents)
    )


def capabilities_attenuate(children: Iterable[Capability], parents: Sequence[Capability]) -> bool:
    """Whether each child lies inside one single parent; no child at all grants nothing."""
    return all(any(is_narrower(child, parent) for parent in parents) for child in children)


def covers_order(capability: Capability, *, action: str, realm: str | None, agent: str) -> bool:
    """Whether the capability covers this action, in this realm, on this agent.

    Args:
        capability: what was granted.
        action: name of the action.
        realm: None for what belongs to no realm; only a capability for all realms covers that.
        agent: DID of the agent that is to act.
    """
    return (
        covers_action(capability.action, action)
        and _holds(capability.realms, realm)
        and _holds(capability.agents, agent)
    )


def _is_namespace(pattern: str) -> bool:
    return pattern.endswith(".*") and is_action(pattern[:-2])


def _is_subset(child: Sequence[str] | None, parent: Sequence[str] | None) -> bool:
    if parent is None:
        return True
    return child is not None and set(child) <= set(parent)


def _holds(allowed: Sequence[str] | None, value: str | None) -> bool:
    return allowed is None or value in allowed
