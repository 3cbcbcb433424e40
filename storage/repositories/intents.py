"""Intents: added many at a time, moved by compare-and-set, each ended exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from protocol.lifecycle import TERMINAL
from protocol.messages.intents import IntentState
from storage.in_list import InList, list_value
from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import IntentRecord, ProgressRecord
from storage.repositories.base import Repository
from storage.tables.columns import JSON, NAMES, TIME
from storage.tables.fleet import agents
from storage.tables.intents import documents, intent_progress, intents
from storage.transaction import BulkInsert, Prepared

_T = intents.c
_MAPPING: Mapping[IntentRecord] = Mapping(intents, IntentRecord)
_PROGRESS: Mapping[ProgressRecord] = Mapping(intent_progress, ProgressRecord)
_ADD = BulkInsert(intents, _MAPPING.names)
_GET = Prepared(select(*_MAPPING.columns).where(_T.id == bindparam("id")))
_OPEN_FOR_AGENT = Prepared(
    select(*_MAPPING.columns)
    .where(_T.agent_did == bindparam("agent"), _T.finished_at.is_(None))
    .order_by(_T.id)
)
_OF_AGENT = Prepared(select(_T.id).where(InList(_T.id, "ids"), _T.agent_did == bindparam("agent")))
_GET_MANY = Prepared(select(*_MAPPING.columns).where(InList(_T.id, "ids")))
# A result that is news of an order whose row is known, in one statement that gives nothing back
# (in SQLite RETURNING costs twice what the change does): while the order is open, nobody has
# asked to cancel it, and under an id that the agent has not used before.
_TAKE_RESULT = Prepared(
    update(intents)
    .where(
        _T.id == bindparam("key"),
        _T.agent_did == bindparam("agent"),
        _T.finished_at.is_(None),
        ~_T.cancel_requested,
        ~exists().where(
            documents.c.id == bindparam("document"), documents.c.signer == bindparam("agent")
        ),
    )
    .values(
        state=bindparam("new_state"),
        result=bindparam("new_result"),
        result_document_id=bindparam("document"),
        tokens=bindparam("new_tokens"),
        millicents=bindparam("new_millicents"),
        approval_ids=bindparam("new_approvals"),
        started_at=bindparam("new_started"),
        finished_at=bindparam("new_finished"),
    )
)
_OPEN = tuple(state for state in IntentState if state not in TERMINAL)
_ENTERED_AT = {
    IntentState.DISPATCHED: "dispatched_at",
    IntentState.ACCEPTED: "accepted_at",
    IntentState.RUNNING: "started_at",
}


class Spent(NamedTuple):
    """What one order has used: tokens, and thousandths of a cent; None where it says nothing."""

    tokens: int | None = None
    millicents: int | None = None


@lru_cache(maxsize=256)
def _transition(changes: frozenset[str], states: int) -> Prepared:
    """The compare-and-set for a set of changed columns and a number of states to come from."""
    return Prepared(
        update(intents)
        .where(
            _T.id == bindparam("key"), _T.state.in_([bindparam(f"from_{n}") for n in range(states)])
        )
        .values({name: bindparam(f"new_{name}") for name in sorted(changes)})
        .returning(*_MAPPING.columns)
    )


@lru_cache(maxsize=16)
def _move_many(entered_at: str, states: int) -> Prepared:
    """The compare-and-set of many orders at once; `entered_at` is the time it sets."""
    return Prepared(
        update(intents)
        .where(InList(_T.id, "ids"), _T.state.in_([bindparam(f"from_{n}") for n in range(states)]))
        .values({"state": bindparam("new_state"), entered_at: bindparam("new_at")})
        .returning(*_MAPPING.columns)
    )


class Intents(Repository[IntentRecord]):
    """Intents by id."""

    mapping = _MAPPING
    noun = "intent"

    def add_many(self, records: Iterable[IntentRecord]) -> None:
        """Add new intents; a taken id is a `ConflictError` of the unit."""
        self._tx.defer(_ADD, [_MAPPING.row(record) for record in records])

    def get(self, id: str) -> IntentRecord | None:
        """Return the intent, or None."""
        self._tx.flush(_ADD)
        row = self._tx.row(_GET, id=id)
        return None if row is None else _MAPPING.record(row)

    def get_many(self, ids: Sequence[str]) -> dict[str, IntentRecord]:
        """Return those that exist, by id."""
        if not ids:
            return {}
        self._tx.flush(_ADD)
        listed = list_value(ids, is_sqlite=self._tx.is_sqlite)
        found = map(_MAPPING.record, self._tx.rows(_GET_MANY, ids=listed))
        return {record.id: record for record in found}

    def by_batch(self, batch_id: str) -> list[IntentRecord]:
        """Return the intents of one submission, in the order of their ids."""
        return self._all(_T.batch_id == batch_id, order=_T.id)

    def by_source(self, source: str) -> Sequence[IntentRecord]:
        """Return the intents that one workflow step, schedule or mention made."""
        return self._all(_T.source == source, order=_T.id)

    def list(
        self,
        *,
        agent_did: str | None = None,
        state: IntentState | Sequence[IntentState] | None = None,
        realm: str | None = None,
        realms: Iterable[str] | None = None,
        action: str | None = None,
        batch_id: str | None = None,
        submitted_by: str | None = None,
        source: str | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[IntentRecord]:
        """Return a page, newest first; `realms` is what the caller may see (None: all)."""
        equal = {
            "agent_did": agent_did,
            "realm": realm,
            "action": action,
            "batch_id": batch_id,
            "submitted_by": submitted_by,
            "source": source,
        }
        where: list[ColumnElement[bool]] = [
            _T[name] == value for name, value in equal.items() if value is not None
        ]
        if state is not None:
            states = [state] if isinstance(state, str) else state
            where.append(_T.state.in_([str(one) for one in states]))
        if realms is not None:
            where.append(_T.realm.in_(list(realms)))
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)

    def transition(
        self,
        id: str,
        new_state: IntentState,
        *,
        from_states: Iterable[IntentState],
        at: datetime | None = None,
        **changes: Any,
    ) -> IntentRecord | None:
        """Move an intent, if it is in one of `from_states`; None when it is not (any more).

        Args:
            id: the intent.
            new_state: where it goes; the time of entering it is kept.
            from_states: where it may come from; nothing leaves a terminal state.
            at: when; the time of the transaction otherwise.
            changes: further fields to set.
        """
        states = [str(state) for state in from_states if state not in TERMINAL]
        if not states:
            return None
        entered_at = "finished_at" if new_state in TERMINAL else _ENTERED_AT.get(new_state)
        if entered_at is not None and entered_at not in changes:
            changes[entered_at] = at or self._tx.now
        changes["state"] = new_state
        values = {f"new_{name}": value for name, value in _MAPPING.encode(changes).items()}
        values |= {f"from_{n}": state for n, state in enumerate(states)}
        self._tx.flush(_ADD)
        row = self._tx.row(_transition(frozenset(changes), len(states)), key=id, **values)
        return None if row is None else _MAPPING.record(row)

    def finish(
        self,
        id: str,
        state: IntentState,
        *,
        at: datetime | None = None,
        from_states: Iterable[IntentState] = _OPEN,
        result: dict[str, Any] | None = None,
        result_document_id: str | None = None,
        **changes: Any,
    ) -> IntentRecord | None:
        """End an intent that has not ended; None when it has. `state` is terminal."""
        if state not in TERMINAL:
            raise ValueError(f"{state} is no end")
        return self.transition(
            id,
            state,
            from_states=from_states,
            at=at,
            result=result,
            result_document_id=result_document_id,
            **changes,
        )

    def take_result(
        self,
        known: IntentRecord,
        state: IntentState,
        *,
        result: dict[str, Any],
        document_id: str,
        spent: Spent,
        approval_ids: tuple[str, ...],
        started_at: datetime | None,
        at: datetime,
    ) -> IntentRecord | None:
        """End an order by a result that is news in every respect, else None and nothing changed.

        In every respect: it has not ended, nobody wants it cancelled, and its agent signed no
        document under `document_id` before.

        Args:
            known: its row as it was when the order was sent, and no step was heard of since.
            state: where it ends.
            result: what is kept of it.
            document_id: of the signed result.
            spent: what it says it has used.
            approval_ids: that the agent names.
            started_at: when the work began, by the agent's clock.
            at: now.
        """
        self._tx.flush(_ADD)
        changed = self._tx.run(
            _TAKE_RESULT,
            key=known.id,
            agent=known.agent_did,
            document=document_id,
            new_tokens=spent.tokens,
            new_millicents=spent.millicents,
            new_state=str(state),
            new_result=JSON.encode(result),
            new_approvals=NAMES.encode(approval_ids),
            new_started=None if started_at is None else TIME.encode(started_at),
            new_finished=TIME.encode(at),
        )
        if changed != 1:
            return None
        return replace(
            known,
            state=state,
            result=result,
            result_document_id=document_id,
            tokens=spent.tokens,
            millicents=spent.millicents,
            approval_ids=approval_ids,
            started_at=started_at,
            finished_at=at,
        )

    def move_many(
        self,
        ids: Sequence[str],
        new_state: IntentState,
        *,
        from_states: Sequence[IntentState],
        at: datetime,
    ) -> Sequence[IntentRecord]:
        """Move those that are in one of `from_states`, in one statement; return them, in order.

        An agent that comes back may hold thousands of orders: a statement for each would keep the
        transaction, and everybody who waits for it, for seconds.
        """
        if not ids:
            return []
        self._tx.flush(_ADD)
        values = {f"from_{n}": str(state) for n, state in enumerate(from_states)}
        rows = self._tx.rows(
            _move_many(_ENTERED_AT[new_state], len(from_states)),
            ids=list_value(ids, is_sqlite=self._tx.is_sqlite),
            new_state=str(new_state),
            new_at=TIME.encode(at),
            **values,
        )
        moved = {record.id: record for record in map(_MAPPING.record, rows)}
        return [moved[id] for id in ids if id in moved]

    def of_agent(self, did: str, ids: Sequence[str]) -> Sequence[str]:
        """Return which of `ids` are orders for this agent."""
        if not ids:
            return []
        self._tx.flush(_ADD)
        listed = list_value(ids, is_sqlite=self._tx.is_sqlite)
        found = {str(row[0]) for row in self._tx.rows(_OF_AGENT, ids=listed, agent=did)}
        return [id for id in ids if id in found]

    def set_cancel_requested(self, id: str, **changes: Any) -> IntentRecord | None:
        """Flag an intent that has not ended; None when it has (or is unknown)."""
        return self._change(
            [_T.id == id, _T.finished_at.is_(None)], cancel_requested=True, **changes
        )

    def open_for_agent(self, did: str, limit: int | None = None) -> Sequence[IntentRecord]:
        """Return what an agent still owes an end, oldest first."""
        if limit is not None:
            where = (_T.agent_did == did, _T.finished_at.is_(None))
            return self._all(*where, order=_T.id, limit=limit)
        self._tx.flush(_ADD)
        return [_MAPPING.record(row) for row in self._tx.rows(_OPEN_FOR_AGENT, agent=did)]

    def due_expired(
        self,
        now: datetime,
        limit: int = 200,
        *,
        states: Iterable[IntentState] | None = None,
        agent_away: bool = False,
    ) -> Sequence[IntentRecord]:
        """Return open intents whose `expires_at` has come, the longest ago first.

        Args:
            now: `expires_at` is not after it.
            limit: at most.
            states: only those in one of these states; None for every open one.
            agent_away: only those whose agent is offline and was not seen after `now`.
        """
        where = [_T.finished_at.is_(None), _T.expires_at <= TIME.encode(now)]
        if states is not None:
            where.append(_T.state.in_([str(state) for state in states]))
        if agent_away:
            here = or_(agents.c.online, agents.c.last_seen_at > TIME.encode(now))
            where.append(_T.agent_did.not_in(select(agents.c.did).where(here)))
        return self._all(*where, order=_T.expires_at, limit=limit)

    def count_open(self) -> int:
        """Return how many intents have not ended."""
        statement = select(func.count()).select_from(intents).where(_T.finished_at.is_(None))
        return int(self._tx.core(statement).scalar_one())

    # --- progress ---

    def add_progress(self, intent_id: str, index: int, kind: str, data: Any, at: datetime) -> bool:
        """Keep one report; False when this index was reported before."""
        record = ProgressRecord(intent_id, index, kind, data, at)
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        statement = make(intent_progress).values(_PROGRESS.values(record)).on_conflict_do_nothing()
        return self._tx.core(statement).rowcount == 1

    def progress_chars(self, intent_id: str) -> int:
        """Return how long the reports kept of an intent are together, as JSON text."""
        length = func.coalesce(func.sum(func.length(intent_progress.c.data)), 0)
        statement = select(length).where(intent_progress.c.intent_id == intent_id)
        return int(self._tx.core(statement).scalar_one())

    def progress(
        self, intent_id: str, after: int = -1, limit: int = 200
    ) -> Sequence[ProgressRecord]:
        """Return reports with a higher index than `after`, in order."""
        statement = (
            select(*_PROGRESS.columns)
            .where(intent_progress.c.intent_id == intent_id, intent_progress.c.index > after)
            .order_by(intent_progress.c.index)
            .limit(limit)
        )
        return [_PROGRESS.record(row) for row in self._tx.core(statement)]
