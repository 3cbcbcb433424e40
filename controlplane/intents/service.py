"""The life of an order after it was taken in: every step a compare-and-set in one unit of work.

The functions that take a `UnitOfWork` are synchronous, may be run again, and change nothing but
the database; `announce` then tells the live side, once the unit is durable. Each step appends its
leaf to the record in the same unit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane.context import Hub
from controlplane.intents.state import (
    OPEN,
    SENT,
    TOLD_OF,
    UNACCEPTED,
    UNSENT,
    check_result,
    decide_expiry,
    decide_repeated_result,
    is_output_small,
    is_terminal,
    refusal_summary,
    result_summary,
)
from controlplane.spending import spent_by
from protocol import limits
from protocol.errors import IdReuseError, UnknownIntentError
from protocol.lifecycle import state_of
from protocol.messages.intents import IntentState, Result
from protocol.verification import Verified
from storage.records import DocumentRecord, IntentRecord, ProgressRecord
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Finished:
    """A result that was taken: `again` when an equal one had been taken before."""

    record: IntentRecord
    result_id: str
    again: bool


def mark_dispatched(
    uow: UnitOfWork, intent_ids: Iterable[str], *, now: datetime
) -> list[IntentRecord]:
    """Move queued orders to `dispatched`; return those that may be sent now.

    An order that ended meanwhile (cancelled, expired) is left out and must not be sent. One that
    is dispatched already is returned too: it is being sent again.
    """
    ids = list(intent_ids)
    moved = uow.intents.move_many(ids, IntentState.DISPATCHED, from_states=UNSENT, at=now)
    for record in moved:
        note_dispatched(uow, record, now)
    known = {record.id: record for record in moved}
    known |= uow.intents.get_many([one for one in ids if one not in known])
    found = (known.get(one) for one in ids)
    return [record for record in found if record is not None and not is_terminal(record.state)]


def note_dispatched(uow: UnitOfWork, record: IntentRecord, now: datetime) -> None:
    """Append the leaf of a delivery; in the unit that makes the order `dispatched`."""
    uow.audit.append(
        "intent.dispatched",
        "hub",
        record.id,
        {"intentId": record.id},
        realms=(record.realm,),
        at=now,
    )


def mark_accepted(
    uow: UnitOfWork, agent_did: str, intent_ids: Iterable[str], *, now: datetime
) -> list[IntentRecord]:
    """Note that these orders are on the agent's disk; they leave the outbox. Returns those moved.

    Ids of other agents' orders, or of none, change nothing.
    """
    own = uow.intents.of_agent(agent_did, list(dict.fromkeys(intent_ids)))
    uow.outbox.forget(agent_did, own)
    moved = uow.intents.move_many(own, IntentState.ACCEPTED, from_states=UNACCEPTED, at=now)
    for record in moved:
        uow.audit.append(
            "intent.accepted",
            agent_did,
            record.id,
            {"intentId": record.id},
            realms=(record.realm,),
            at=now,
        )
    return list(moved)


def mark_running(
    uow: UnitOfWork, agent_did: str, intent_id: str, *, now: datetime
) -> IntentRecord | None:
    """Note that the order has started; returns the record when that was news."""
    if _own(uow, agent_did, intent_id) is None:
        return None
    uow.outbox.forget(agent_did, (intent_id,))
    return uow.intents.transition(
        intent_id,
        IntentState.RUNNING,
        from_states=(*UNACCEPTED, IntentState.ACCEPTED),
        started_at=now,
    )


def record_progress(
    uow: UnitOfWork,
    agent_did: str,
    intent_id: str,
    *,
    index: int,
    kind: str,
    data: Any,
    now: datetime,
) -> tuple[IntentRecord, IntentRecord | None] | None:
    """Keep one progress report of an open order, which is running from now on.

    Returns:
        The order, and its new record when this made it running; None when it is not this agent's
        or has ended, or this index was kept before.
    """
    record = _own(uow, agent_did, intent_id)
    if record is None or is_terminal(record.state):
        return None
    started = mark_running(uow, agent_did, intent_id, now=now)
    if not uow.intents.add_progress(intent_id, index, kind, data, now):
        return None
    return started or record, started


def finish_with_result(
    uow: UnitOfWork,
    agent_did: str,
    verified: Verified[Result],
    *,
    now: datetime,
    known: IntentRecord | None = None,
) -> Finished:
    """Take a verified result: document, terminal state and leaf at once, or nothing.

    Args:
        uow: the unit of work.
        agent_did: who signed it.
        verified: the result.
        now: the hub's clock.
        known: the order as it was sent, where that is remembered; saves reading it.

    Raises:
        IdReuseError: the agent signed another document under its id before.
        UnknownIntentError: this agent was never sent such an order.
        BadDigestError: it answers other bytes.
        OutputTooBigError: its output should have gone by upload.
        ResultConflictError: the order ended otherwise before.
    """
    result, envelope = verified.payload, verified.envelope
    digest = envelope.digest
    summary = result_summary(result, envelope.id)
    spent = spent_by(result)
    finished = None
    # Nearly every result is news and fits: the database says so in the statement that takes it.
    if known is not None and _may_be_news(uow, agent_did, verified, known):
        finished = uow.intents.take_result(
            known,
            state_of(result.status),
            result=summary,
            document_id=envelope.id,
            spent=spent,
            approval_ids=result.approvals,
            started_at=result.started_at,
            at=now,
        )
    if finished is None:
        record = _why_not_news(uow, agent_did, verified, digest)
        if is_terminal(record.state):
            _owe_no_more(uow, record)
            if record.result_document_id != envelope.id:
                decide_repeated_result(record, summary)
            return Finished(record, envelope.id, again=True)
        finished = uow.intents.finish(
            record.id,
            state_of(result.status),
            from_states=OPEN,
            result=summary,
            result_document_id=envelope.id,
            tokens=spent.tokens,
            millicents=spent.millicents,
            approval_ids=result.approvals,
            started_at=result.started_at,
            finished_at=now,
        )
        if finished is None:
            raise UnknownIntentError("the order changed under the result")
    _owe_no_more(uow, finished)
    uow.documents.put(
        DocumentRecord(
            id=envelope.id,
            signer=agent_did,
            type=envelope.type,
            digest=digest,
            wire=envelope.wire,
            audience=envelope.audience,
            expires_at=envelope.expires or now,
            created_at=now,
        )
    )
    uow.audit.append(
        "intent.finished",
        agent_did,
        finished.id,
        {
            "intentId": finished.id,
            "intentDigest": finished.digest,
            "resultId": envelope.id,
            "resultDigest": digest,
            "state": finished.state.value,
        },
        realms=(finished.realm,),
        at=now,
    )
    return Finished(finished, envelope.id, again=False)


def _may_be_news(
    uow: UnitOfWork, agent_did: str, verified: Verified[Result], known: IntentRecord
) -> bool:
    return (
        known.agent_did == agent_did
        and known.digest == verified.payload.intent_digest
        and is_output_small(verified)
        and not uow.documents.is_put(agent_did, verified.envelope.id)
    )


def _why_not_news(
    uow: UnitOfWork, agent_did: str, verified: Verified[Result], digest: str
) -> IntentRecord:
    """Return the order of a result that could not simply be taken, or raise what is wrong."""
    result = verified.payload
    seen = uow.documents.seen_digest(agent_did, verified.envelope.id)
    if seen is not None and seen != digest:
        raise IdReuseError("other bytes under an id that was used before")
    record = _own(uow, agent_did, result.intent_id)
    if record is None:
        raise UnknownIntentError("no such order was sent to this agent")
    check_result(record, result)
    return record


def refuse_by_error(
    uow: UnitOfWork,
    agent_did: str,
    intent_id: str,
    *,
    code: str,
    message: str,
    now: datetime,
) -> IntentRecord | None:
    """End an order as `refused` because the agent answered its document with an `error`.

    Only an order the agent has not accepted can end so; anything else changes nothing (None).
    """
    if _own(uow, agent_did, intent_id) is None:
        return None
    return _end_without_result(
        uow,
        intent_id,
        IntentState.REFUSED,
        from_states=UNACCEPTED,
        now=now,
        actor=agent_did,
        result=refusal_summary(code, message, now),
    )


def reconcile_holds(
    uow: UnitOfWork, agent_did: str, held: Collection[str], *, now: datetime
) -> list[IntentRecord]:
    """Bring the hub's view in line with what a reconnected agent says it holds, in full.

    What it holds is accepted. What it does not hold was dispatched and stays, to be sent again, or
    has expired when its time is up: `unconfirmed` when it was sent more than once. Or it had told
    of it, and its disk or ours has gone back: that has expired `unconfirmed` and is never sent
    again, for it may have been done. Returns the records that changed.
    """
    listed = frozenset(held)
    records = uow.intents.open_for_agent(agent_did)
    held_here = [record.id for record in records if record.id in listed]
    changed = mark_accepted(uow, agent_did, held_here, now=now)
    over = [
        record
        for record in records
        if record.id not in listed and (record.state in TOLD_OF or now >= record.expires_at)
    ]
    perhaps_done = uow.outbox.sent_again(agent_did, [record.id for record in over])
    perhaps_done |= {record.id for record in over if record.state in TOLD_OF}
    for record in over:
        ended = _expire(uow, record, now=now, unconfirmed=record.id in perhaps_done)
        if ended is not None:
            changed.append(ended)
    return changed


def expire_due(uow: UnitOfWork, *, now: datetime, limit: int = 500) -> list[IntentRecord]:
    """End up to `limit` orders whose time alone ends them; returns those that ended."""
    ended = []
    # Asked for apart, so that orders that wait for a lost agent cannot hide queued ones.
    due = list(uow.intents.due_expired(now, limit, states=UNSENT))
    # And without those of agents that report themselves, which must not hide those of lost ones.
    week_ago = now - limits.UNCONFIRMED_AFTER
    due += uow.intents.due_expired(week_ago, limit, states=SENT, agent_away=True)
    for record in due:
        agent = None
        if record.state is not IntentState.QUEUED:
            agent = uow.agents.get(record.agent_did)
        changes = decide_expiry(record, agent, now)
        if changes is None:
            continue
        done = _expire(uow, record, now=now, unconfirmed=bool(changes.get("unconfirmed")))
        if done is not None:
            ended.append(done)
    return ended


def end_queued(
    uow: UnitOfWork, intent_id: str, *, actor: str, reason: str, now: datetime
) -> IntentRecord | None:
    """Cancel an order that was not sent yet; None when it is not queued any more."""
    return _end_without_result(
        uow,
        intent_id,
        IntentState.CANCELLED,
        from_states=UNSENT,
        now=now,
        actor=actor,
        reason=reason,
    )


def announce(hub: Hub, records: Sequence[IntentRecord]) -> None:
    """Tell watchers and the metrics about orders that changed state; after the commit, once."""
    for record in records:
        state = record.state.value
        hub.metrics.entered(state)
        hub.events.emit(
            "intent.finished" if is_terminal(record.state) else f"intent.{state}",
            realm=record.realm,
            data={
                "id": record.id,
                "batchId": record.batch_id,
                "agent": record.agent_did,
                "agentName": record.agent_name,
                "action": record.action,
                "state": state,
                "cancelRequested": record.cancel_requested,
            },
            subject=record.id,
            about=record,
        )


def announce_progress(hub: Hub, record: IntentRecord, progress: ProgressRecord) -> None:
    """Tell watchers about one progress report; after the commit, once."""
    hub.events.emit(
        "intent.progress",
        realm=record.realm,
        data={
            "id": record.id,
            "index": progress.index,
            "kind": progress.kind,
            "data": progress.data,
        },
        subject=record.id,
    )


def _own(uow: UnitOfWork, agent_did: str, intent_id: str) -> IntentRecord | None:
    record = uow.intents.get(intent_id)
    return record if record is not None and record.agent_did == agent_did else None


def _owe_no_more(uow: UnitOfWork, ended: IntentRecord) -> None:
    """Send neither an order that has ended nor its cancel, which nobody may ever answer."""
    refs = (ended.id, ended.cancel_document_id)
    uow.outbox.forget(ended.agent_did, [ref for ref in refs if ref is not None])


def _expire(
    uow: UnitOfWork, record: IntentRecord, *, now: datetime, unconfirmed: bool
) -> IntentRecord | None:
    """Return the order as it has expired; None when it is not any more as it was read."""
    return _end_without_result(
        uow,
        record.id,
        IntentState.EXPIRED,
        from_states=(record.state,),
        now=now,
        actor="hub",
        unconfirmed=unconfirmed,
    )


def _end_without_result(
    uow: UnitOfWork,
    intent_id: str,
    state: IntentState,
    *,
    from_states: Sequence[IntentState],
    now: datetime,
    actor: str,
    result: dict[str, Any] | None = None,
    unconfirmed: bool = False,
    reason: str = "",
) -> IntentRecord | None:
    ended = uow.intents.transition(
        intent_id,
        state,
        from_states=from_states,
        finished_at=now,
        unconfirmed=unconfirmed,
        result=result,
    )
    if ended is None:
        return None
    _owe_no_more(uow, ended)
    data: dict[str, Any] = {"intentId": intent_id, "state": state.value}
    if unconfirmed:
        data["unconfirmed"] = True
    if result is not None:
        data["code"] = result["error"]["code"]
    uow.audit.append(
        "intent.finished",
        actor,
        intent_id,
        data,
        realms=(ended.realm,),
        personal={"reason": reason} if reason else None,
        at=now,
    )
    return ended
