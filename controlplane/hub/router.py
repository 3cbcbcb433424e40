"""Which handler takes which type of frame: a table and nothing else.

A handler is plain when all it does is queue an effect, and a coroutine when the agent's next frame
must wait for it. Both raise `protocol.errors.Error` to have the frame answered by `error`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from controlplane import clock
from controlplane.hub.connection import Connection
from controlplane.hub.handlers import (
    approvals,
    audit,
    documents,
    errors,
    files,
    intents,
    peers,
    presence,
    rotation,
    tokens,
)
from controlplane.hub.live import Live
from protocol.envelope import Envelope
from protocol.errors import ForbiddenTypeError
from protocol.verification import Side, verify_document

ControlHandler = Callable[[Live, Connection, Envelope, Any], Awaitable[None] | None]
DocumentHandler = Callable[[Live, Connection, Envelope], Awaitable[None] | None]

CONTROL: Final[Mapping[str, ControlHandler]] = MappingProxyType(
    {
        "heartbeat": presence.heartbeat,
        "intent_ack": intents.intent_ack,
        "intent_progress": intents.intent_progress,
        "document_ack": documents.document_ack,
        "tool_approval_request": approvals.tool_approval_request,
        "peer_intent": peers.peer_intent,
        "upload_request": files.upload_request,
        "token_request": tokens.token_request,
        "checkpoint_request": audit.checkpoint_request,
        "error": errors.error,
    }
)
"""Control frames of an agent that is online, or of a pending one as far as the session lets it."""
DOCUMENTS: Final[Mapping[str, DocumentHandler]] = MappingProxyType(
    {"result": intents.result, "key_rotation": rotation.key_rotation}
)
"""Documents of an agent."""


async def take_control(
    live: Live, connection: Connection, envelope: Envelope, payload: BaseModel
) -> None:
    """Have a control frame's handler do what the frame asks for.

    Raises:
        ForbiddenTypeError: this hub does not take such frames.
        Error: whatever the handler refuses.
    """
    handler = CONTROL.get(envelope.type)
    if handler is None:
        raise ForbiddenTypeError(f"this hub does not take {envelope.type}")
    waiting = handler(live, connection, envelope, payload)
    if waiting is not None:
        await waiting


async def take_document(live: Live, connection: Connection, envelope: Envelope) -> None:
    """Have a document's handler prove it and do what it asks for.

    Raises:
        Error: rows 5 to 10, or whatever the handler refuses.
    """
    handler = DOCUMENTS.get(envelope.type)
    if handler is None:
        # Rows 5 to 8 come first also for what nobody will take.
        verify_document(
            envelope,
            audience=live.hub.identity.addressee(envelope.audience),
            now=clock.now(),
            replay=None,
            sender=Side.AGENT,
        )
        raise ForbiddenTypeError(f"this hub does not take {envelope.type}")
    waiting = handler(live, connection, envelope)
    if waiting is not None:
        await waiting
