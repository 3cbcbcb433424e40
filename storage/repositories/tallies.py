"""Counts for an overview: how many things stand in which state. Read only, over several tables."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, literal_column, select

from protocol.ids import format_uuid7
from storage.in_list import InList, list_value
from storage.tables.columns import JSON, TIME, decode_time
from storage.tables.fleet import agent_tags, agents, registrations
from storage.tables.intents import intents
from storage.tables.permits import approvals
from storage.transaction import Prepared, Transaction

_FIRST_RANDOM = bytes(10)
_AFTER_ALL = "g"
"""Behind every id: they are hexadecimal."""


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
        SQLite those of one stretch at a time, for it holds what it has to group in memory.
        """
        milliseconds = stretch // timedelta(milliseconds=1)
        statement = _intents_between(milliseconds, in_realms=realms is not None)
        values: dict[str, Any] = {}
        if realms is not None:
            values["realms"] = list_value(sorted(realms), is_sqlite=self._tx.is_sqlite)
        self._tx.flush()
        sums: dict[tuple[int, str], tuple[int, int, int]] = {}
        while True:
            values["begins"], since = format_uuid7(since, _FIRST_RANDOM), since + stretch
            is_last = not self._tx.is_sqlite or since > self._tx.now
            values["ends"] = _AFTER_ALL if is_last else format_uuid7(since, _FIRST_RANDOM)
            for starts_at, state, *counted in self._tx.rows(statement, **values):
                before = sums.get((starts_at, state), (0, 0, 0))
                orders, tokens, millicents = (
                    was + int(more or 0) for was, more in zip(before, counted, strict=True)
                )
                sums[starts_at, state] = orders, tokens, millicents
            if is_last:
                break
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
def _intents_between(milliseconds: int, *, in_realms: bool) -> Prepared:
    """Orders with ids between two, counted and summed by stretch of time and state."""
    began = intents.c.created_at - intents.c.created_at % literal_column(str(milliseconds))
    where = [intents.c.id >= bindparam("begins"), intents.c.id < bindparam("ends")]
    if in_realms:
        where.append(InList(intents.c.realm, "realms"))
    return Prepared(
        select(
            began,
            intents.c.state,
            func.count(),
            func.sum(intents.c.tokens),
            func.sum(intents.c.millicents),
        )
        .where(*where)
        .group_by(began, intents.c.state)
    )
