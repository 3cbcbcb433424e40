"""Counts for an overview: how many things stand in which state. Read only, over several tables."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, bindparam, func, literal_column, select

from protocol.ids import format_uuid7
from storage.in_list import InList, list_value
from storage.tables.columns import JSON, TIME, decode_time
from storage.tables.fleet import agent_tags, agents, registrations
from storage.tables.intents import intents
from storage.tables.permits import approvals
from storage.transaction import Prepared, Transaction

_FIRST_RANDOM = bytes(10)
_GROUPED_AT_ONCE = 2_000
_NO_BOUND = 2**62


class IntentTally(NamedTuple):
    """How many orders given within one stretch of time stand in one state, and what they used."""

    starts_at: datetime
    state: str
    orders: int
    tokens: int
    millicents: int


class AgentNearLimit(NamedTuple):
    """An agent that is online and near a limit of its policy, with its last heartbeat."""

    did: str
    name: str
    heartbeat: dict[str, Any]


class Tallies:
    """Each takes the realms to count in; None for all of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    def agents(self, realms: Collection[str] | None) -> dict[str, int]:
        """Return how many agents there are by status: online, offline, quarantined, revoked."""
        statement = select(agents.c.state, agents.c.online, func.count()).group_by(
            agents.c.state, agents.c.online
        )
        if realms is not None:
            statement = statement.where(_in_realms(realms))
        found = {"online": 0, "offline": 0, "quarantined": 0, "revoked": 0}
        for state, online, count in map(tuple, self._tx.core(statement)):
            status = ("online" if online else "offline") if state == "active" else state
            found[status] = found.get(status, 0) + count
        return found

    def near_limits(
        self, realms: Collection[str] | None, *, at_least: int, limit: int
    ) -> tuple[int, list[AgentNearLimit]]:
        """Return how many agents have used so many thousandths of a limit, and the nearest."""
        where = [agents.c.state == "active", agents.c.online, agents.c.limit_permille >= at_least]
        if realms is not None:
            where.append(_in_realms(realms))
        nearest = (
            select(agents.c.did, agents.c.name, agents.c.heartbeat)
            .where(*where)
            .order_by(agents.c.limit_permille.desc(), agents.c.name)
            .limit(limit)
        )
        found = [
            AgentNearLimit(did, name, JSON.decode(heartbeat or "{}"))
            for did, name, heartbeat in map(tuple, self._tx.core(nearest))
        ]
        return len(found) if len(found) < limit else self._count(agents.c.did, *where), found

    def intents(
        self, since: datetime, stretch: timedelta, realms: Collection[str] | None
    ) -> list[IntentTally]:
        """Return the orders given since a time, by stretches of it and by state, oldest first.

        They are found by their ids, which begin with their time: only those orders are read. On
        SQLite a bounded number at a time, for it holds what it has to group in memory.
        """
        milliseconds = stretch // timedelta(milliseconds=1)
        statement = _intents_after(milliseconds, in_realms=realms is not None)
        at_most = _GROUPED_AT_ONCE if self._tx.is_sqlite else _NO_BOUND
        # Without its last digit an id stands right before itself.
        values: dict[str, Any] = {
            "after": format_uuid7(since, _FIRST_RANDOM)[:-1],
            "at_most": at_most,
        }
        if realms is not None:
            values["realms"] = list_value(sorted(realms), is_sqlite=self._tx.is_sqlite)
        self._tx.flush()
        sums: dict[tuple[int, str], tuple[int, int, int]] = {}
        read = at_most
        while read == at_most:
            read = 0
            for starts_at, state, last, *counted in self._tx.rows(statement, **values):
                before = sums.get((starts_at, state), (0, 0, 0))
                orders, tokens, millicents = (
                    was + int(more or 0) for was, more in zip(before, counted, strict=True)
                )
                sums[starts_at, state] = orders, tokens, millicents
                values["after"] = max(values["after"], last)
                read += counted[0]
        return [
            IntentTally(decode_time(starts_at), state, *counts)
            for (starts_at, state), counts in sorted(sums.items())
        ]

    def open_intents(self, realms: Collection[str] | None) -> int:
        """Return how many orders have not ended."""
        where: list[ColumnElement[bool]] = [intents.c.finished_at.is_(None)]
        if realms is not None:
            where.append(intents.c.realm.in_(sorted(realms)))
        return self._count(intents.c.id, *where)

    def waiting_approvals(self, realms: Collection[str] | None, now: datetime) -> int:
        """Return how many calls wait for people."""
        where = [approvals.c.state == "pending", approvals.c.expires_at > TIME.encode(now)]
        if realms is not None:
            where.append(approvals.c.realm.in_(sorted(realms)))
        return self._count(approvals.c.id, *where)

    def waiting_registrations(self, realms: Collection[str] | None, now: datetime) -> int:
        """Return how many ask to become agents."""
        where = [registrations.c.state == "pending", registrations.c.expires_at > TIME.encode(now)]
        if realms is not None:
            where.append(registrations.c.realm.in_(sorted(realms)))
        return self._count(registrations.c.id, *where)

    def _count(self, column: ColumnElement[str], *where: ColumnElement[bool]) -> int:
        return int(self._tx.core(select(func.count(column)).where(*where)).scalar_one())


def _in_realms(realms: Collection[str]) -> ColumnElement[bool]:
    tagged = select(agent_tags.c.agent_did).where(
        agent_tags.c.kind == "realm", agent_tags.c.key.in_(sorted(realms))
    )
    return agents.c.did.in_(tagged)


@lru_cache(maxsize=16)
def _intents_after(milliseconds: int, *, in_realms: bool) -> Prepared:
    """The next orders by id, counted and summed by stretch of time and state."""
    column = intents.c
    where = [column.id > bindparam("after")]
    if in_realms:
        where.append(InList(column.realm, "realms"))
    next_ones = (
        select(column.id, column.state, column.created_at, column.tokens, column.millicents)
        .where(*where)
        .order_by(column.id)
        .limit(bindparam("at_most", type_=BigInteger()))
        .subquery()
    )
    began = next_ones.c.created_at - next_ones.c.created_at % literal_column(str(milliseconds))
    return Prepared(
        select(
            began,
            next_ones.c.state,
            func.max(next_ones.c.id),
            func.count(),
            func.sum(next_ones.c.tokens),
            func.sum(next_ones.c.millicents),
        ).group_by(began, next_ones.c.state)
    )
