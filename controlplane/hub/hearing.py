"""What this process does when another one of the same hub tells it something: wiring only."""

from __future__ import annotations

from controlplane.bus.base import Message
from controlplane.context import Hub
from controlplane.hub.dispatcher import Dispatcher
from controlplane.hub.registry import Registry
from controlplane.neighbours import CLOSE, DECIDED, WAKE, share_events


def hear_neighbours(hub: Hub, registry: Registry, dispatcher: Dispatcher) -> None:
    """Have this process do what the others ask of it, and tell them what they must know."""
    neighbours = hub.neighbours

    def wake(hint: Message) -> None:
        for did in hint["agents"]:
            dispatcher.wake_here(did)

    def close(hint: Message) -> None:
        registry.close_here(hint["agent"], code=hint["code"], reason=hint["reason"])

    neighbours.on(WAKE, wake)
    neighbours.on(CLOSE, close)
    neighbours.on(DECIDED, lambda hint: registry.decided_here(hint["agent"]))
    authenticator, agents = hub.authenticator, hub.agents
    authenticator.changed = neighbours.share_cache("credentials", authenticator.forget_here)
    agents.changed = neighbours.share_cache("agents", agents.forget_here)
    share_events(neighbours.bus, hub.events)
