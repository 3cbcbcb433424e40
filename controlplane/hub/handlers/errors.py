"""`error` from an agent: which document it could not take, and what becomes of that."""

from __future__ import annotations

import structlog

from controlplane.hub.connection import Connection
from controlplane.hub.handlers import documents, intents
from controlplane.hub.live import Live
from protocol.envelope import Envelope
from protocol.messages.session import ErrorMessage

log = structlog.get_logger(__name__)

DOCUMENT_CODES = frozenset(
    {
        "bad_signature",
        "wrong_audience",
        "future",
        "expired",
        "id_reuse",
        "unknown_type",
        "forbidden_type",
        "bad_payload",
        "no_chain",
    }
)
"""What an agent says to a document that fails rows 5 to 10, or whose signer it does not know."""


def error(live: Live, connection: Connection, _envelope: Envelope, payload: ErrorMessage) -> None:
    """End the order that the agent cannot take, or stop sending the document; never answer."""
    log.info(
        "agent_error",
        agent=connection.did,
        code=payload.code,
        in_reply_to=payload.in_reply_to,
    )
    if payload.in_reply_to is None or payload.code not in DOCUMENT_CODES:
        return
    if connection.is_online:
        intents.refused_document(
            live, connection, payload.in_reply_to, payload.code, payload.message
        )
        documents.refused_document(live, connection, payload.in_reply_to, payload.code)
