"""The sans-IO machines of both ends of a connection, and the events they speak in."""

from protocol.agent_session import ROUTE_ACTION, AgentSession
from protocol.conversation import Conversation
from protocol.hub_session import HubSession
from protocol.session_events import (
    ControlReceived,
    DocumentReceived,
    Event,
    FrameRefused,
    HelloAccepted,
    PeerFailed,
    RegisterReceived,
    SessionState,
)

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
