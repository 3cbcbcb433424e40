"""`error` from an agent: what it could not take, or that it takes nothing; what becomes of it."""

from __future__ import annotations

import structlog

from controlplane import clock
from controlplane.fleet.agents import tell_changed
from controlplane.fleet.quarantine import stop_forked
from controlplane.hub.connection import Connection
from controlplane.hub.handlers import documents, intents
from controlplane.hub.live import Live
from protocol.envelope import Envelope
from protocol.errors import LogForkError
from protocol.messages.session import ErrorMessage
from storage.records import AgentRecord
from storage.unit_of_work import UnitOfWork

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
    """End the order that the agent cannot take, or stop sending the document; never answer.

    An agent that says `log_fork` takes no orders: it is shown as stopped, and can be released.
    """
    log.info(
        "agent_error",
        agent=connection.did,
        code=payload.code,
        in_reply_to=payload.in_reply_to,
    )
    if not connection.is_online:
        return
    if payload.code == LogForkError.code:
        _stop(live, connection, payload.message)
    elif payload.in_reply_to is not None and payload.code in DOCUMENT_CODES:
        intents.refused_document(
            live, connection, payload.in_reply_to, payload.code, payload.message
        )
        documents.refused_document(live, connection, payload.in_reply_to, payload.code)


def _stop(live: Live, connection: Connection, why: str) -> None:
    did = connection.agent_did

    def unit(uow: UnitOfWork) -> AgentRecord | None:
        return stop_forked(uow, live.hub, did, why, clock.now())

    def done(stopped: AgentRecord | None) -> None:
        if stopped is not None:
            live.dispatcher.wake(did)
            tell_changed(live.hub, "agent.quarantined", stopped)

    connection.effects.submit(unit, done, lambda _error: None)
