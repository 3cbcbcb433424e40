"""What this process does when another one of the same hub tells it something: wiring only."""

from __future__ import annotations

from controlplane.bus.base import Message
from controlplane.hub.claims import ALIVE, TOOK, answer_alive, let_go
from controlplane.hub.live import Live
from controlplane.neighbours import CLOSE, DECIDED, WAKE, share_events


def hear_neighbours(live: Live) -> None:
    """Have this process do what the others ask of it, and tell them what they must know."""
    hub, registry, dispatcher = live.hub, live.registry, live.dispatcher
    neighbours = hub.neighbours

    def wake(hint: Message) -> None:
        for did in hint["agents"]:
            dispatcher.wake_here(did)

    def close(hint: Message) -> None:
        registry.close_here(hint["agent"], code=hint["code"], reason=hint["reason"])

    neighbours.on(WAKE, wake)
    neighbours.on(CLOSE, close)
    neighbours.on(DECIDED, lambda hint: registry.decided_here(hint["agent"]))
    neighbours.on(TOOK, lambda hint: let_go(live, hint))

    async def answer(question: Message) -> Message:
        return await answer_alive(live, question) if question.get("kind") == ALIVE else {}

    neighbours.bus.answer(answer)
    authenticator, agents = hub.authenticator, hub.agents
    authenticator.changed = neighbours.share_cache("credentials", authenticator.forget_here)
    agents.changed = neighbours.share_cache("agents", agents.forget_here)
    share_events(neighbours.bus, hub.events)
