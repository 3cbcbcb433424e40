"""Calls that wait for people, and what the people said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, insert, or_, select

from storage.errors import ConflictError
from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import ApprovalDecisionRecord, ApprovalRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.intents import intents
from storage.tables.permits import approval_decisions, approvals

_T = approvals.c
_D = approval_decisions.c
_DECISIONS: Mapping[ApprovalDecisionRecord] = Mapping(approval_decisions, ApprovalDecisionRecord)


class Approvals(Repository[ApprovalRecord]):
    """Approvals by the request id that the agent chose."""

    mapping: Mapping[ApprovalRecord] = Mapping(approvals, ApprovalRecord)
    noun = "approval"

    def add(self, record: ApprovalRecord) -> bool:
        """Keep a request; False when it was kept before (the agent asked again)."""
        statement = self._insert_or_ignore().values(self.mapping.values(record))
        return self._tx.core(statement).rowcount == 1

    def get(self, id: str) -> ApprovalRecord | None:
        """Return the request, or None."""
        return self._find(id=id)

    def of_intent(self, intent_id: str) -> Sequence[ApprovalRecord]:
        """Return the requests of one intent, oldest first."""
        return self._all(_T.intent_id == intent_id, order=_T.id)

    def count_of_intent(self, intent_id: str) -> int:
        """Return how many requests one intent has led to, whatever became of them."""
        return self._count(_T.intent_id == intent_id)

    def count_pending(self, agent_did: str) -> int:
        """Return how many requests of an agent wait for people."""
        return self._count(_T.agent_did == agent_did, _T.state == "pending")

    def _count(self, *where: ColumnElement[bool]) -> int:
        statement = select(func.count()).select_from(approvals).where(*where)
        return int(self._tx.core(statement).scalar_one())

    def list(
        self,
        *,
        state: str | None = None,
        agent_did: str | None = None,
        tool: str | None = None,
        realms: Iterable[str] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[ApprovalRecord]:
        """Return a page, newest first; `realms` is what the caller may see (None: all)."""
        equal = {"state": state, "agent_did": agent_did, "tool": tool}
        where: list[Any] = [_T[name] == value for name, value in equal.items() if value is not None]
        if realms is not None:
            where.append(_T.realm.in_(list(realms)))
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)

    def decide(self, id: str, state: str, at: datetime | None = None) -> ApprovalRecord:
        """End what is pending, once.

        Raises:
            NotFoundError: no such request.
            ConflictError: ended before.
        """
        where = [_T.id == id, _T.state == "pending"]
        decided = self._change(where, state=state, decided_at=at or self._tx.now)
        if decided is not None:
            return decided
        found = self._need(self.get(id))
        raise ConflictError(f"this approval is {found.state}")

    def add_decision(self, record: ApprovalDecisionRecord) -> None:
        """Keep a person's decision; a second one of theirs is a `ConflictError` of the unit."""
        self._tx.core(insert(approval_decisions).values(_DECISIONS.values(record)))

    def decisions(self, approval_id: str) -> Sequence[ApprovalDecisionRecord]:
        """Return the decisions on a request, oldest first."""
        statement = select(*_DECISIONS.columns).where(_D.approval_id == approval_id)
        return [_DECISIONS.record(row) for row in self._tx.core(statement.order_by(_D.at, _D.id))]

    def due_expired(self, now: datetime, limit: int = 200) -> Sequence[ApprovalRecord]:
        """Return pending requests whose time is over, or whose order has ended."""
        ended = exists().where(intents.c.id == _T.intent_id, intents.c.finished_at.is_not(None))
        over = or_(_T.expires_at <= TIME.encode(now), ended)
        return self._all(_T.state == "pending", over, order=_T.expires_at, limit=limit)
