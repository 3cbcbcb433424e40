"""`tool_approval_request`: a call that waits for people; what they answer is no concern of it."""

from __future__ import annotations

from controlplane import clock
from controlplane.approvals.demand import demand_of
from controlplane.hub.connection import Connection
from controlplane.hub.handlers.answers import refusing
from controlplane.hub.live import Live
from protocol.approvals import call_digest
from protocol.envelope import Envelope
from protocol.errors import BadDigestError, RateLimitedError, UnknownIntentError
from protocol.lifecycle import TERMINAL
from protocol.messages.approvals import ToolApprovalRequest
from storage.records import ApprovalRecord
from storage.unit_of_work import UnitOfWork

MAX_REQUESTS_PER_INTENT = 8
"""An agent asks again only where the rule has changed meanwhile."""
MAX_PENDING_PER_AGENT = 1_000
"""Questions of one agent that wait for people at a time."""


def tool_approval_request(
    live: Live, connection: Connection, envelope: Envelope, payload: ToolApprovalRequest
) -> None:
    """Keep the request and tell those who may decide; the same request again changes nothing.

    Raises:
        BadDigestError: people would be asked about another call than the digest names.
    """
    did = connection.agent_did
    digest = call_digest(
        intent_id=payload.intent_id, tool=payload.tool, arguments=payload.arguments
    )
    if digest != payload.call_digest:
        raise BadDigestError("callDigest is not the digest of this call")

    def unit(uow: UnitOfWork) -> ApprovalRecord | None:
        now = clock.now()
        intent = uow.intents.get(payload.intent_id)
        if intent is None or intent.agent_did != did or intent.state in TERMINAL:
            raise UnknownIntentError("no open order of this agent")
        if uow.approvals.get(payload.request_id) is not None:
            return None
        if (
            uow.approvals.count_of_intent(intent.id) >= MAX_REQUESTS_PER_INTENT
            or uow.approvals.count_pending(did) >= MAX_PENDING_PER_AGENT
        ):
            raise RateLimitedError("people are asked enough by this order, or this agent")
        record = ApprovalRecord(
            id=payload.request_id,
            intent_id=intent.id,
            agent_did=did,
            realm=intent.realm,
            tool=payload.tool,
            arguments=payload.arguments,
            call_digest=digest,
            rule=payload.rule,
            people=payload.people,
            requested_at=now,
            expires_at=min(payload.expires, intent.expires_at),  # nothing waits longer than it
            demand=demand_of(uow, did, payload.rule),
        )
        if not uow.approvals.add(record):
            return None
        uow.audit.append(
            "approval.requested",
            did,
            record.id,
            {"intentId": intent.id, "tool": record.tool, "callDigest": digest},
            realms=(intent.realm,),
            at=now,
        )
        return record

    def done(record: ApprovalRecord | None) -> None:
        if record is not None:
            live.hub.events.emit(
                "approval.requested",
                realm=record.realm,
                data={"id": record.id, "intentId": record.intent_id, "tool": record.tool},
                subject=record.id,
            )

    connection.effects.submit(unit, done, refusing(connection, envelope))
