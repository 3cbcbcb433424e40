"""Taking an order back: at once while it is queued, else by asking the agent (SPEC section 8)."""

from __future__ import annotations

from controlplane import clock
from controlplane.access.authorize import Actor, authorize_one
from controlplane.context import Hub, OutboxKind
from controlplane.errors import HiddenError, StateConflictError
from controlplane.intents.service import announce, end_queued
from controlplane.intents.state import is_terminal
from protocol.envelope import seal_document
from storage.records import DocumentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork


async def cancel_intent(hub: Hub, actor: Actor, intent_id: str, reason: str) -> IntentRecord:
    """Return the order, which has ended, or is asked to end by a signed `intent_cancel`.

    Asking twice is asking once, unless the agent has turned the first `intent_cancel` down.

    Raises:
        HiddenError, AccessDeniedError: not this caller's to cancel.
        StateConflictError: it has ended already.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[IntentRecord, bool]:
        record = uow.intents.get(intent_id)
        if record is None:
            raise HiddenError("no such intent")
        own = actor.subject in (record.submitted_by, record.on_behalf_of)
        needed = "intents.cancel" if own else "intents.cancel.any"
        authorize_one(actor, needed, (record.realm,), see="intents.read")
        ended = end_queued(uow, intent_id, actor=actor.subject, reason=reason, now=now)
        if ended is not None:
            return ended, False
        record = uow.intents.get(intent_id)
        assert record is not None
        if is_terminal(record.state):
            raise StateConflictError(f"the order has ended: {record.state.value}")
        if record.cancel_requested and not _was_turned_down(uow, record):
            return record, False
        return _ask_agent(uow, hub, actor, record, reason), True

    record, asked = await hub.database.write(unit)
    if asked:
        hub.dispatcher.wake(record.agent_did)
        hub.events.emit(
            "intent.cancel_requested",
            realm=record.realm,
            data={"id": record.id, "agent": record.agent_did, "state": record.state.value},
            subject=record.id,
        )
    elif is_terminal(record.state):
        announce(hub, (record,))
    return record


def _was_turned_down(uow: UnitOfWork, record: IntentRecord) -> bool:
    """Whether the agent has answered the cancel by a refusal or an `error`: it is over then."""
    did, cancel_id = record.agent_did, record.cancel_document_id
    if cancel_id is None or uow.outbox.holds(did, cancel_id):
        return False
    said = uow.documents.acks(did).get(cancel_id)
    return said is None or said.state != "accepted"


def _ask_agent(
    uow: UnitOfWork, hub: Hub, actor: Actor, record: IntentRecord, reason: str
) -> IntentRecord:
    now = uow.now
    key = hub.identity.hub_key
    expires = max(record.expires_at, clock.in_a_week(now))
    envelope = seal_document(
        type="intent_cancel",
        id=clock.new_id(),
        timestamp=now,
        expires=expires,
        audience=record.agent_did,
        payload={"intentId": record.id, "reason": reason},
        signer=key,
    )
    uow.documents.put(
        DocumentRecord(
            id=envelope.id,
            signer=envelope.sender_did,
            type=envelope.type,
            digest=envelope.digest,
            wire=envelope.wire,
            audience=envelope.audience,
            expires_at=expires,
            created_at=now,
        )
    )
    uow.outbox.add(record.agent_did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did)
    uow.audit.append(
        "intent.cancel_requested",
        actor.subject,
        record.id,
        {"documentId": envelope.id, "digest": envelope.digest},
        realms=(record.realm,),
        personal={"reason": reason},
        at=now,
    )
    changed = uow.intents.set_cancel_requested(record.id, cancel_document_id=envelope.id)
    if changed is None:
        raise StateConflictError("the order has just ended")
    return changed
