"""Orders on their way: the agent's acknowledgement, its progress, its result (section 8).

Verifies and hands the facts to `controlplane.intents.service`; decides no state itself.
"""

from __future__ import annotations

from typing import cast

from controlplane import clock, faults
from controlplane.hub.connection import Connection, ProgressRoom
from controlplane.hub.handlers.answers import refusing
from controlplane.hub.handlers.files import note_output_file
from controlplane.hub.handlers.peers import queue_peer_result
from controlplane.hub.live import Live
from controlplane.intents import service
from protocol.canonical import canonical_json
from protocol.envelope import Envelope
from protocol.errors import UnknownIntentError
from protocol.messages.intents import IntentAck, IntentProgress, Result
from protocol.messages.session import ErrorMessage
from protocol.verification import Side, Verified, verify_document
from storage.records import IntentRecord, ProgressRecord
from storage.unit_of_work import UnitOfWork

MAX_PROGRESS_REPORTS = 10_000
"""Reports kept of one order; later ones are shown live and then gone."""
MAX_PROGRESS_KEPT_BYTES = 4 * 1024 * 1024
"""How long the reports kept of one order may be together."""
MAX_PROGRESS_ROOMS = 10_000
"""Orders of one connection whose reports are counted at a time."""


def intent_ack(live: Live, connection: Connection, envelope: Envelope, payload: IntentAck) -> None:
    """Note which orders are on the agent's disk; they need not be sent again."""
    did = connection.agent_did
    ids = [item.intent_id for item in payload.intents]
    for intent_id in ids:
        connection.lane.sent.pop(intent_id, None)  # from here on its row knows more

    def unit(uow: UnitOfWork) -> list[IntentRecord]:
        moved = service.mark_accepted(uow, did, ids, now=clock.now())
        faults.reach("ack_before_commit")
        return moved

    def done(moved: list[IntentRecord]) -> None:
        faults.reach("ack_committed")
        live.dispatcher.acknowledged(connection, ids)
        service.announce(live.hub, moved)

    connection.effects.submit(unit, done, refusing(connection, envelope))


def intent_progress(
    live: Live, connection: Connection, envelope: Envelope, payload: IntentProgress
) -> None:
    """Keep a report of a running order and show it to whoever watches."""
    did = connection.agent_did
    now = clock.now()
    connection.lane.sent.pop(payload.intent_id, None)
    if len(connection.progress) >= MAX_PROGRESS_ROOMS:
        connection.progress.clear()  # what was counted is on disk, and read from there again
    room = connection.progress.setdefault(payload.intent_id, ProgressRoom())
    room.here += len(canonical_json(payload.data))
    here = room.here

    def unit(uow: UnitOfWork) -> tuple[IntentRecord, IntentRecord | None] | None:
        if room.before is None:
            room.before = uow.intents.progress_chars(payload.intent_id)
        if payload.index < MAX_PROGRESS_REPORTS and room.before + here <= MAX_PROGRESS_KEPT_BYTES:
            return service.record_progress(
                uow,
                did,
                payload.intent_id,
                index=payload.index,
                kind=payload.kind,
                data=payload.data,
                now=now,
            )
        record = uow.intents.get(payload.intent_id)
        return (record, None) if record is not None and record.agent_did == did else None

    def done(news: tuple[IntentRecord, IntentRecord | None] | None) -> None:
        live.dispatcher.acknowledged(connection, (payload.intent_id,))
        if news is None:
            return
        record, started = news
        if started is not None:
            service.announce(live.hub, [started])
        service.announce_progress(
            live.hub,
            record,
            ProgressRecord(payload.intent_id, payload.index, payload.kind, payload.data, now),
        )

    connection.effects.submit(unit, done, refusing(connection, envelope))


def result(live: Live, connection: Connection, envelope: Envelope) -> None:
    """Take a signed result and acknowledge it once it is on disk.

    Raises:
        VerificationError: rows 5 to 10 do not hold.
        UnknownIntentError: signed by another key than this connection's.
    """
    verified = cast(
        Verified[Result],
        verify_document(
            envelope,
            audience=live.hub.identity.addressee(envelope.audience),
            now=clock.now(),
            replay=None,  # row 8 is asked inside the unit, where every document is remembered
            sender=Side.AGENT,
        ),
    )
    did = connection.agent_did
    if envelope.sender_did != did:
        raise UnknownIntentError("a result is taken from the agent that signed it")
    intent_id = verified.payload.intent_id
    known = connection.lane.sent.pop(intent_id, None)
    identity = live.hub.identity

    def unit(uow: UnitOfWork) -> tuple[service.Finished, bool]:
        finished = service.finish_with_result(uow, did, verified, now=clock.now(), known=known)
        output_file = verified.payload.output_file
        if output_file is not None and not finished.again:
            note_output_file(uow, intent_id, output_file.sha256)
        by_peer = (
            not finished.again
            and not identity.is_own(finished.record.signer)
            and queue_peer_result(uow, finished.record, envelope)
        )
        faults.reach("result_before_commit")
        return finished, by_peer

    def done(outcome: tuple[service.Finished, bool]) -> None:
        finished, by_peer = outcome
        faults.reach("result_committed")
        cancel_id = finished.record.cancel_document_id
        over = (intent_id,) if cancel_id is None else (intent_id, cancel_id)
        live.dispatcher.acknowledged(connection, over)
        connection.ack_result(intent_id, envelope.id)
        connection.progress.pop(intent_id, None)
        faults.reach("result_acked")
        if not finished.again:
            service.announce(live.hub, [finished.record])
        if by_peer:
            live.dispatcher.wake(finished.record.signer)

    connection.effects.submit(unit, done, refusing(connection, envelope))


def refused_document(
    live: Live, connection: Connection, intent_id: str, code: str, message: str
) -> None:
    """End an order as `refused`, because the agent answered its document with an `error`."""
    did = connection.agent_did

    def unit(uow: UnitOfWork) -> IntentRecord | None:
        return service.refuse_by_error(
            uow, did, intent_id, code=code, message=message, now=clock.now()
        )

    def done(ended: IntentRecord | None) -> None:
        live.dispatcher.acknowledged(connection, (intent_id,))
        if ended is None:
            return
        service.announce(live.hub, [ended])
        caller = live.registry.get(ended.signer)
        if caller is not None:
            caller.send(ErrorMessage(code=code, message=message, in_reply_to=intent_id))

    connection.effects.submit(unit, done, lambda _error: None)
