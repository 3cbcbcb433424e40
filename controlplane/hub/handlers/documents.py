"""`document_ack`: what an agent did with documents that are not orders."""

from __future__ import annotations

from controlplane import clock
from controlplane.fleet.agents import tell_changed
from controlplane.fleet.quarantine import note_answer
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from protocol.envelope import Envelope
from protocol.messages.documents import DocumentAck
from storage.records import AgentRecord, DocumentAckRecord
from storage.unit_of_work import UnitOfWork


def document_ack(
    live: Live, connection: Connection, _envelope: Envelope, payload: DocumentAck
) -> None:
    """Keep the agent's word on each document; it need not be sent again.

    Only a word that differs from the one before is news, for the record and for watchers: an
    agent repeats itself after every reconnect.
    """
    did = connection.agent_did
    items = payload.documents

    def unit(uow: UnitOfWork) -> tuple[list[DocumentAckRecord], AgentRecord | None]:
        now = clock.now()
        before = uow.documents.acks(did)
        kept = _kept(uow, [item.id for item in items])
        news = []
        realms = uow.agents.realms_of(did)
        for item in items:
            if item.id not in kept:
                continue  # nothing of this hub's: an agent must not fill the record as it likes
            ack = DocumentAckRecord(did, item.id, item.digest, item.state, now, item.code)
            known = before.get(item.id)
            if known is not None and (known.digest, known.state, known.code) == (
                ack.digest,
                ack.state,
                ack.code,
            ):
                continue
            uow.documents.record_ack(ack)
            uow.audit.append(
                f"document.{item.state}",
                did,
                item.id,
                {"digest": item.digest, "code": item.code},
                realms=realms,
                at=now,
            )
            news.append(ack)
        uow.outbox.delete_refs(did, [item.id for item in items])
        answers = {ack.document_id: (ack.state, ack.code) for ack in news}
        return news, note_answer(uow, did, answers, now) if answers else None

    def done(said: tuple[list[DocumentAckRecord], AgentRecord | None]) -> None:
        news, answered = said
        live.dispatcher.acknowledged(connection, [item.id for item in items])
        for ack in news:
            live.hub.events.emit(
                f"document.{ack.state}",
                realm=connection.realm,
                data={"id": ack.document_id, "agent": did, "code": ack.code},
                subject=ack.document_id,
            )
        _tell_refused(live, answered)

    connection.effects.submit(unit, done, lambda _error: None)


def _kept(uow: UnitOfWork, ids: list[str]) -> frozenset[str]:
    """Return those of the ids that name a document this hub keeps."""
    known = {one.id for one in uow.documents.get_many(ids)}
    return frozenset(known | {one.id for one in uow.delegations.get_many(ids)})


def refused_document(live: Live, connection: Connection, document_id: str, code: str) -> None:
    """Stop sending a document that the agent has answered by an `error`."""
    did = connection.agent_did

    def unit(uow: UnitOfWork) -> AgentRecord | None:
        uow.outbox.delete_refs(did, (document_id,))
        return note_answer(uow, did, {document_id: ("refused", code)}, clock.now())

    def done(answered: AgentRecord | None) -> None:
        live.dispatcher.acknowledged(connection, (document_id,))
        _tell_refused(live, answered)

    connection.effects.submit(unit, done, lambda _error: None)


def _tell_refused(live: Live, agent: AgentRecord | None) -> None:
    """Tell watchers of an agent that has refused to be let go: it is as stopped as before."""
    told = (agent and agent.quarantine) or {}
    if agent is not None and told.get("answer") == "refused" and not told["active"]:
        tell_changed(live.hub, "agent.quarantined", agent)
