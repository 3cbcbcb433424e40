"""The durable queue to each agent: a row stays until the agent has acked what it carries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from storage.errors import NotFoundError
from storage.in_list import InList, list_value
from storage.records import OutboxRecord
from storage.tables.columns import TIME
from storage.tables.delivery import outbox
from storage.tables.fleet import agents
from storage.tables.intents import documents
from storage.transaction import BulkInsert, Prepared, Transaction

_T = outbox.c
_ADD = BulkInsert(
    outbox,
    ("agent_did", "kind", "ref_id", "signer", "wire", "not_before", "sent_at", "attempts"),
)


_NEVER = -(2**62)
_AHEAD = timedelta(minutes=1)
"""Sent so long after now, the clock has gone back: more than units that overlap can make."""
_DUE = (
    or_(
        _T.sent_at.is_(None),
        _T.sent_at <= bindparam("resend_before"),
        _T.sent_at > bindparam("sent_ahead"),
    ),
    or_(_T.not_before.is_(None), _T.not_before <= bindparam("now")),
)
_PENDING = Prepared(
    select(
        _T.id,
        _T.agent_did,
        _T.kind,
        _T.ref_id,
        func.coalesce(_T.wire, documents.c.wire),
        _T.not_before,
        _T.sent_at,
        _T.attempts,
    )
    .outerjoin(documents, and_(documents.c.id == _T.ref_id, documents.c.signer == _T.signer))
    .where(_T.agent_did == bindparam("agent"), *_DUE)
    .order_by(_T.id)
    .limit(bindparam("at_most", type_=BigInteger()))
)
_AGENTS_DUE = Prepared(
    select(_T.agent_did)
    .where(*_DUE)
    .distinct()
    .order_by(_T.agent_did)
    .limit(bindparam("at_most", type_=BigInteger()))
)
_AGENTS_DUE_ONLINE = Prepared(
    select(agents.c.did)
    .where(agents.c.online, exists(select(_T.id).where(_T.agent_did == agents.c.did, *_DUE)))
    .limit(bindparam("at_most", type_=BigInteger()))
)
_AGENTS_DUE_AT = _AGENTS_DUE_ONLINE.also(agents.c.hub == bindparam("hub"))
_OWED = Prepared(
    select(_T.agent_did).where(InList(_T.agent_did, "agents"), _T.sent_at.is_(None)).distinct()
)
_SENT_AGAIN = Prepared(
    select(_T.ref_id).where(
        InList(_T.ref_id, "refs"), _T.agent_did == bindparam("agent"), _T.attempts > 1
    )
)
_MARK_SENT = Prepared(
    update(outbox)
    .where(InList(_T.id, "ids"))
    .values(sent_at=bindparam("at"), attempts=_T.attempts + 1)
)
_RESET = Prepared(
    update(outbox)
    .where(_T.agent_did == bindparam("agent"), _T.sent_at.is_not(None))
    .values(sent_at=null())
)
_DELETE = Prepared(delete(outbox).where(InList(_T.id, "ids")))
_DELETE_REFS = Prepared(
    delete(outbox).where(InList(_T.ref_id, "refs"), _T.agent_did == bindparam("agent"))
)
_FORGET = Prepared(
    delete(outbox).where(_T.ref_id == bindparam("ref"), _T.agent_did == bindparam("agent"))
)


class Outbox:
    """Rows in the order they were added."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction
        self._forgotten: set[tuple[str, str]] = set()
        self._unsent: set[str] = set()  # who has been added something that is not sent yet

    def add(
        self,
        agent_did: str,
        kind: str,
        ref_id: str,
        wire: bytes | None = None,
        not_before: datetime | None = None,
        *,
        signer: str | None = None,
        sent_at: datetime | None = None,
    ) -> None:
        """Queue something for an agent.

        Args:
            agent_did: who gets it.
            kind: such as intent, document or delegation_update.
            ref_id: what an ack will name.
            wire: the bytes to send; None when they are the document (`ref_id`, `signer`), which
                need not be kept twice.
            not_before: `pending` is silent about it until then.
            signer: DID of the document's signer, without `wire`.
            sent_at: when it was handed over, where that follows the commit at once.
        """
        if (wire is None) == (signer is None):
            raise ValueError("either the bytes, or the signer of the document that holds them")
        if (agent_did, ref_id) in self._forgotten:
            self._tx.flush()
            self._forgotten.clear()
        moment = None if not_before is None else TIME.encode(not_before)
        if sent_at is None:
            self._unsent.add(agent_did)
        sent, attempts = (None, 0) if sent_at is None else (TIME.encode(sent_at), 1)
        self._tx.defer(_ADD, [(agent_did, kind, ref_id, signer, wire, moment, sent, attempts)])

    def add_first(
        self,
        agent_did: str,
        kind: str,
        ref_id: str,
        wire: bytes | None = None,
        *,
        signer: str | None = None,
    ) -> None:
        """Queue something before everything that waits: what stops an agent overtakes its work.

        Of several, the one added last goes first. The arguments are those of `add`.
        """
        if (wire is None) == (signer is None):
            raise ValueError("either the bytes, or the signer of the document that holds them")
        lowest = self._tx.core(select(func.min(_T.id))).scalar()
        values = {"agent_did": agent_did, "kind": kind, "ref_id": ref_id, "signer": signer}
        first = min(0, lowest or 0) - 1
        self._tx.core(insert(outbox).values(id=first, wire=wire, attempts=0, **values))

    def pending(
        self,
        agent_did: str,
        limit: int = 100,
        *,
        now: datetime | None = None,
        resend_before: datetime | None = None,
    ) -> list[OutboxRecord]:
        """Return what is due to an agent, oldest first, with its bytes.

        Args:
            agent_did: whose.
            limit: at most.
            now: rows with a later `not_before` wait.
            resend_before: rows sent before this and still here are due again, and so are those
                sent more than a minute after `now`, when the clock stood elsewhere.
        """
        self._tx.flush()
        due = self._due(now, resend_before)
        rows = self._tx.rows(_PENDING, agent=agent_did, at_most=limit, **due)
        return [_record(row) for row in rows]

    def agents_due(
        self,
        *,
        now: datetime | None = None,
        resend_before: datetime | None = None,
        limit: int = 1_000,
    ) -> list[str]:
        """Return the agents that something is due to."""
        self._tx.flush()
        due = self._due(now, resend_before)
        return [str(row[0]) for row in self._tx.rows(_AGENTS_DUE, at_most=limit, **due)]

    def agents_due_at(
        self, hub: str | None, *, now: datetime, resend_before: datetime, limit: int = 1_000
    ) -> list[str]:
        """Return agents online at a process of the hub (None: the only one) with something due."""
        due = self._due(now, resend_before)
        if hub is None:
            rows = self._tx.rows(_AGENTS_DUE_ONLINE, at_most=limit, **due)
        else:
            rows = self._tx.rows(_AGENTS_DUE_AT, hub=hub, at_most=limit, **due)
        return [str(row[0]) for row in rows]

    def owed(self, agent_dids: Iterable[str]) -> set[str]:
        """Return which of these agents something waits for that was not sent yet."""
        asked = set(agent_dids)
        rows = self._tx.rows(_OWED, agents=self._list(list(asked)))
        return {str(row[0]) for row in rows} | (asked & self._unsent)

    def holds(self, agent_did: str, ref_id: str) -> bool:
        """Whether an agent has not acked `ref_id` yet."""
        self._tx.flush()
        where = (_T.ref_id == ref_id, _T.agent_did == agent_did)
        return self._tx.core(select(_T.id).where(*where).limit(1)).first() is not None

    def sent_again(self, agent_did: str, ref_ids: Sequence[str]) -> set[str]:
        """Return which of these an agent was sent more than once without an ack."""
        if not ref_ids:
            return set()
        self._tx.flush()
        rows = self._tx.rows(_SENT_AGAIN, refs=self._list(ref_ids), agent=agent_did)
        return {str(row[0]) for row in rows}

    def mark_sent(self, ids: Sequence[int], at: datetime) -> None:
        """Say that rows were handed to the agent's connection."""
        if ids:
            self._tx.run(_MARK_SENT, ids=self._list(ids), at=TIME.encode(at))

    def reset(self, agent_did: str) -> int:
        """Make everything due again, as after a reconnect; return how many rows."""
        self._tx.flush()
        return self._tx.run(_RESET, agent=agent_did)

    def delete(self, ids: Sequence[int]) -> None:
        """Forget rows."""
        if ids:
            self._tx.run(_DELETE, ids=self._list(ids))

    def delete_refs(self, agent_did: str, ref_ids: Sequence[str]) -> int:
        """Forget what an agent has acked; return how many rows."""
        if not ref_ids:
            return 0
        self._tx.flush()
        return self._tx.run(_DELETE_REFS, refs=self._list(ref_ids), agent=agent_did)

    def forget(self, agent_did: str, ref_ids: Iterable[str]) -> None:
        """Forget what an agent has acked or ended; with the other rows of the group, at its end."""
        for ref_id in ref_ids:
            self._forgotten.add((agent_did, ref_id))
            self._tx.later(_FORGET, ref=ref_id, agent=agent_did)

    def delete_agent(self, agent_did: str) -> int:
        """Forget everything for an agent; return how many rows."""
        return self._tx.core(delete(outbox).where(_T.agent_did == agent_did)).rowcount

    def count(self) -> int:
        """Return how many rows there are."""
        return int(self._tx.core(select(func.count()).select_from(outbox)).scalar_one())

    def _due(self, now: datetime | None, resend_before: datetime | None) -> dict[str, int]:
        now = now or self._tx.now
        return {
            "now": TIME.encode(now),
            "resend_before": TIME.encode(resend_before) if resend_before else _NEVER,
            "sent_ahead": TIME.encode(now + _AHEAD) if resend_before else -_NEVER,
        }

    def _list(self, values: Sequence[str] | Sequence[int]) -> str | list[Any]:
        return list_value(values, is_sqlite=self._tx.is_sqlite)


def _record(row: Sequence[object]) -> OutboxRecord:
    id, agent_did, kind, ref_id, wire, not_before, sent_at, attempts = row
    if wire is None:
        raise NotFoundError(f"the document {ref_id} that the outbox names is not there")
    return OutboxRecord(
        id=id,  # type: ignore[arg-type]
        agent_did=str(agent_did),
        kind=str(kind),
        ref_id=str(ref_id),
        wire=bytes(wire),  # type: ignore[call-overload]
        not_before=None if not_before is None else TIME.decode(not_before),
        sent_at=None if sent_at is None else TIME.decode(sent_at),
        attempts=attempts,  # type: ignore[arg-type]
    )
