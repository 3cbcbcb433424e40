"""The sans-IO machines of both ends of a connection, and the events they speak in."""

from protocol.agent_session import ROUTE_ACTION, AgentSession
from protocol.conversation import (
    ControlReceived,
    Conversation,
    DocumentReceived,
    Event,
    FrameRefused,
    HelloAccepted,
    PeerFailed,
    RegisterReceived,
    SessionState,
)
from protocol.hub_session import HubSession

__all__ = [
    "ROUTE_ACTION",
    "AgentSession",
    "ControlReceived",
    "Conversation",
    "DocumentReceived",
    "Event",
    "FrameRefused",
    "HelloAccepted",
    "HubSession",
    "PeerFailed",
    "RegisterReceived",
    "SessionState",
]
