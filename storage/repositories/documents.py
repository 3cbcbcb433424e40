"""Signed documents: exact bytes, one per signer and id, which is also the memory of replays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from protocol.errors import IdReuseError
from storage.mapping import Mapping
from storage.records import DocumentAckRecord, DocumentRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.intents import document_acks, documents
from storage.transaction import BulkInsert, Prepared, Transaction

_T = documents.c
_MAPPING: Mapping[DocumentRecord] = Mapping(documents, DocumentRecord)
_ACKS: Mapping[DocumentAckRecord] = Mapping(document_acks, DocumentAckRecord)
_ADD = BulkInsert(documents, _MAPPING.names)
_GET = Prepared(select(*_MAPPING.columns).where(_T.id == bindparam("id")))
_DIGEST = Prepared(
    select(_T.digest).where(_T.id == bindparam("id"), _T.signer == bindparam("signer"))
)


class Documents(Repository[DocumentRecord]):
    """Documents by id and signer (a DID)."""

    mapping = _MAPPING
    noun = "document"

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction)
        # What this transaction has put and not yet flushed, so that looking a digest up for one
        # unit does not cut the rows of the whole group into single statements.
        self._put: dict[tuple[str, str], str] = {}

    def put(self, record: DocumentRecord) -> None:
        """Keep a new document; a taken (signer, id) is a `ConflictError` of the unit."""
        self._put[record.signer, record.id] = record.digest
        self._tx.defer(_ADD, [_MAPPING.row(record)])

    def put_once(self, record: DocumentRecord) -> bool:
        """Keep a document; False when the same bytes are there already.

        Raises:
            IdReuseError: other bytes under this signer and id.
        """
        seen = self.seen_digest(record.signer, record.id)
        if seen is None:
            self.put(record)
            return True
        if seen != record.digest:
            raise IdReuseError("this signer used the id for another document")
        return False

    def get(self, id: str, signer: str | None = None) -> DocumentRecord | None:
        """Return the document, or None; without `signer`, whoever's it is."""
        self._tx.flush(_ADD)
        found = [_MAPPING.record(row) for row in self._tx.rows(_GET, id=id)]
        return next((one for one in found if signer in (None, one.signer)), None)

    def get_many(self, ids: Sequence[str]) -> list[DocumentRecord]:
        """Return every document with one of these ids, in the order of the ids."""
        return self._all(_T.id.in_(ids), order=_T.id) if ids else []

    def policies_for(self, agent_did: str, limit: int = 500) -> list[DocumentRecord]:
        """Return the policies that were ever signed for an agent, newest first."""
        self._tx.flush(_ADD)
        where = (_T.type == "policy_update", _T.audience == agent_did)
        return self._all(*where, order=_T.id.desc(), limit=limit)

    def is_put(self, signer: str, id: str) -> bool:
        """Whether this transaction has put such a document."""
        return (signer, id) in self._put

    def seen_digest(self, signer: str, id: str) -> str | None:
        """Return the digest remembered for (signer, id), or None."""
        waiting = self._put.get((signer, id))
        if waiting is not None:
            return waiting
        row = self._tx.row(_DIGEST, id=id, signer=signer)
        return None if row is None else str(row[0])

    # --- acks ---

    def record_ack(self, ack: DocumentAckRecord) -> None:
        """Keep the newest word of an agent on a document."""
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        values = _ACKS.values(ack)
        statement = make(document_acks).values(values)
        changed = {name: values[name] for name in ("digest", "state", "code", "at")}
        self._tx.core(
            statement.on_conflict_do_update(
                index_elements=["agent_did", "document_id"], set_=changed
            )
        )

    def acks(self, agent_did: str) -> dict[str, DocumentAckRecord]:
        """Return what an agent said, by document id."""
        statement = select(*_ACKS.columns).where(document_acks.c.agent_did == agent_did)
        found = [_ACKS.record(row) for row in self._tx.core(statement)]
        return {ack.document_id: ack for ack in found}

    def forget(self, type: str, expired_before: datetime, limit: int = 1_000) -> int:
        """Delete documents of a type whose `expires_at` is long past; return how many."""
        old = (
            select(_T.id, _T.signer)
            .where(_T.type == type, _T.expires_at <= TIME.encode(expired_before))
            .limit(limit)
        )
        keys = [tuple(row) for row in self._tx.core(old)]
        for id, signer in keys:
            self._tx.core(delete(documents).where(_T.id == id, _T.signer == signer))
        return len(keys)
