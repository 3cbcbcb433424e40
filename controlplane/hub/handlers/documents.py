"""`document_ack`: what an agent did with documents that are not orders."""

from __future__ import annotations

from controlplane import clock
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from protocol.envelope import Envelope
from protocol.messages.documents import DocumentAck
from storage.records import DocumentAckRecord
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

    def unit(uow: UnitOfWork) -> list[DocumentAckRecord]:
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
        return news

    def done(news: list[DocumentAckRecord]) -> None:
        live.dispatcher.acknowledged(connection, [item.id for item in items])
        for ack in news:
            live.hub.events.emit(
                f"document.{ack.state}",
                realm=connection.realm,
                data={"id": ack.document_id, "agent": did, "code": ack.code},
                subject=ack.document_id,
            )

    connection.effects.submit(unit, done, lambda _error: None)


def _kept(uow: UnitOfWork, ids: list[str]) -> frozenset[str]:
    """Return those of the ids that name a document this hub keeps."""
    known = {one.id for one in uow.documents.get_many(ids)}
    return frozenset(known | {one.id for one in uow.delegations.get_many(ids)})


def refused_document(live: Live, connection: Connection, document_id: str) -> None:
    """Stop sending a document that the agent has answered by an `error`."""
    did = connection.agent_did

    def done(_count: int) -> None:
        live.dispatcher.acknowledged(connection, (document_id,))

    connection.effects.submit(
        lambda uow: uow.outbox.delete_refs(did, (document_id,)), done, lambda _error: None
    )
