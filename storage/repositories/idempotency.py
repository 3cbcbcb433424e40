"""Answers remembered under an idempotency key."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.records import Begin, IdempotencyOutcome, InProgress, Mismatch, Replay
from storage.tables.columns import TIME
from storage.tables.delivery import idempotency
from storage.transaction import Prepared, Transaction

_T = idempotency.c
_GET = Prepared(
    select(_T.body_hash, _T.status, _T.body, _T.started_at).where(
        _T.scope == bindparam("scope"), _T.key == bindparam("key")
    )
)


class Idempotency:
    """Requests by scope (caller and route) and key."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    def begin(
        self,
        scope: str,
        key: str,
        body_hash: str,
        at: datetime,
        *,
        stale_before: datetime | None = None,
    ) -> IdempotencyOutcome:
        """Take the key, or say what the request that has it came to.

        Args:
            scope: caller and route.
            key: as the caller sent it.
            body_hash: of the request's body.
            at: now.
            stale_before: a request that began before this and was never answered has died; its
                key is taken over.
        """
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        row = {"scope": scope, "key": key, "body_hash": body_hash, "started_at": TIME.encode(at)}
        if self._tx.core(make(idempotency).values(row).on_conflict_do_nothing()).rowcount == 1:
            return Begin()
        found = self._tx.row(_GET, scope=scope, key=key)
        if found is None:  # given up by another hub just now
            return InProgress()
        kept_hash, status, body, started_at = found
        if kept_hash != body_hash:
            return Mismatch()
        if status is not None:
            return Replay(int(status), bytes(body))
        if stale_before is not None and TIME.decode(started_at) < stale_before:
            taken = update(idempotency).where(
                _T.scope == scope, _T.key == key, _T.started_at == started_at, _T.status.is_(None)
            )
            if self._tx.core(taken.values(started_at=TIME.encode(at))).rowcount == 1:
                return Begin()
        return InProgress()

    def finish(self, scope: str, key: str, status: int, body: bytes) -> None:
        """Remember the answer, secrets left out by the caller."""
        statement = update(idempotency).where(_T.scope == scope, _T.key == key)
        self._tx.core(statement.values(status=status, body=body))

    def give_up(self, scope: str, key: str) -> None:
        """Free a key whose request failed without an answer worth keeping."""
        self._tx.core(
            delete(idempotency).where(_T.scope == scope, _T.key == key, _T.status.is_(None))
        )

    def forget(self, before: datetime) -> int:
        """Delete what began before; return how many."""
        statement = delete(idempotency).where(_T.started_at < TIME.encode(before))
        return self._tx.core(statement).rowcount
