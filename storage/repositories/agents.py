"""Enrolled agents, and the ways to find them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Fields
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    false,
    insert,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import true as sql_true

from storage.errors import FencedError
from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import AgentRecord
from storage.repositories.base import Repository
from storage.tables.columns import JSON, TIME
from storage.tables.delivery import outbox
from storage.tables.fleet import agent_tags, agents
from storage.tables.intents import document_acks, intents
from storage.tables.permits import agent_policies, approvals
from storage.transaction import Prepared

_MAPPING: Mapping[AgentRecord] = Mapping(agents, AgentRecord)
_GET = Prepared(select(*_MAPPING.columns).where(agents.c.did == bindparam("did")))
_TOUCH = Prepared(
    update(agents)
    .where(agents.c.did == bindparam("key"))
    .values(
        last_seen_at=bindparam("at"), heartbeat=bindparam("beat"), limit_permille=bindparam("limit")
    )
)
# Shared, so that registering elsewhere waits for what this connection is just doing, and is then
# seen by whatever it does next.
_HOLD = Prepared(
    select(agents.c.session).where(agents.c.did == bindparam("key")).with_for_update(read=True)
)
_CONNECTIONS = Prepared(select(agents.c.did, agents.c.session).where(agents.c.online))
_CONNECTIONS_AT = _CONNECTIONS.also(agents.c.hub == bindparam("process"))
_COMES = Prepared(
    update(agents)
    .where(agents.c.did == bindparam("key"))
    .values(
        online=true(),
        session=bindparam("new_session"),
        hub=bindparam("new_hub"),
        online_changed_at=bindparam("at"),
        last_seen_at=bindparam("at"),
    )
)
_COMES_OVER = _COMES.also(agents.c.session.is_not_distinct_from(bindparam("old_session")))
_GOES = Prepared(
    update(agents)
    .where(agents.c.did == bindparam("key"), agents.c.online)
    .values(
        online=false(),
        session=null(),
        hub=null(),
        online_changed_at=bindparam("at"),
        last_seen_at=bindparam("at"),
    )
)
_GOES_FROM = _GOES.also(agents.c.session == bindparam("old_session"))
_TAGGED = {"realms", "capabilities", "labels"}


class Agents(Repository[AgentRecord]):
    """Agents by DID; names are unique."""

    mapping = _MAPPING
    noun = "agent"

    def add(self, record: AgentRecord) -> None:
        """Enrol an agent; a taken DID or name is a `ConflictError` of the unit."""
        self._insert(record)
        self._tag(record)

    def get(self, did: str) -> AgentRecord | None:
        """Return the agent, or None."""
        row = self._tx.row(_GET, did=did)
        return None if row is None else _MAPPING.record(row)

    def realms_of(self, did: str) -> tuple[str, ...]:
        """Return the realms an agent is in; none for a key that is no agent's."""
        found = self.get(did)
        return () if found is None else found.realms

    def get_by_name(self, name: str) -> AgentRecord | None:
        """Return the agent of that name, or None."""
        return self._find(name=name)

    def list(
        self,
        *,
        realm: str | None = None,
        realms: Iterable[str] | None = None,
        capability: str | None = None,
        status: str | None = None,
        label: str | None = None,
        q: str | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[AgentRecord]:
        """Return a page by name.

        Args:
            realm: in this realm.
            realms: in any of these realms (what the caller may see); None for all.
            capability: declares it.
            status: as `AgentRecord.status`, or active.
            label: `key=value`, or `key` with any value.
            q: part of the name or DID.
            limit: 1..200.
            cursor: of the page before.
        """
        where: list[ColumnElement[bool]] = []
        if realm is not None:
            where.append(_tagged("realm", [realm]))
        if realms is not None:
            where.append(_tagged("realm", list(realms)))
        if capability is not None:
            where.append(_tagged("capability", [capability]))
        if label is not None:
            key, equals, value = label.partition("=")
            where.append(_tagged("label", [key], value if equals else None))
        if status in {"online", "offline"}:
            where += [agents.c.state == "active", agents.c.online == (status == "online")]
        elif status is not None:
            where.append(agents.c.state == status)
        if q:
            part = q.lower()
            where.append(
                or_(
                    agents.c.name.contains(part, autoescape=True),
                    agents.c.did.contains(q, autoescape=True),
                )
            )
        return self._page(where, key=agents.c.name, newest_first=False, limit=limit, cursor=cursor)

    def matching(
        self,
        *,
        capability: str | None = None,
        labels: Fields[str, str] | None = None,
        realm: str | None = None,
        states: Sequence[str] = ("active",),
        limit: int | None = None,
    ) -> Sequence[AgentRecord]:
        """Return every agent that a selector means, by name: those in work unless `states`."""
        where: list[ColumnElement[bool]] = [agents.c.state.in_(states)]
        if capability is not None:
            where.append(_tagged("capability", [capability]))
        if realm is not None:
            where.append(_tagged("realm", [realm]))
        for key, value in (labels or {}).items():
            where.append(_tagged("label", [key], value))
        return self._all(*where, order=agents.c.name, limit=limit)

    def names_like(self, prefix: str) -> set[str]:
        """Return the taken names that begin with `prefix`."""
        statement = select(agents.c.name).where(agents.c.name.startswith(prefix, autoescape=True))
        return set(self._tx.core(statement).scalars())

    def update(self, did: str, *, revision: int | None = None, **changes: Any) -> AgentRecord:
        """Change fields; with `revision`, only when nobody else has since.

        Raises:
            NotFoundError: no such agent.
            ConflictError: another revision, or a taken name.
        """
        record = self._revise(agents.c.did == did, revision, changes)
        if _TAGGED & changes.keys():
            self._tx.core(delete(agent_tags).where(agent_tags.c.agent_did == did))
            self._tag(record)
        return record

    def set_presence(
        self,
        did: str,
        online: bool,
        at: datetime,
        session: str | None = None,
        *,
        hub: str | None = None,
        over: AgentRecord | None = None,
    ) -> bool:
        """Say that an agent came or went; False when it is not so any more.

        An agent goes offline only from the session that ended: the end of an old connection
        must not hide a newer one.

        Args:
            did: the agent.
            online: whether it came.
            at: when.
            session: its connection.
            hub: the process it is connected to, where the hub has several.
            over: comes only when its connection is still the one in this record.
        """
        values: dict[str, Any] = {
            "key": did,
            "at": TIME.encode(at),
            "new_session": session,
            "new_hub": hub,
            "old_session": session if over is None else over.session,
        }
        if online:
            changed = self._tx.run(_COMES if over is None else _COMES_OVER, **values)
        else:
            changed = self._tx.run(_GOES if session is None else _GOES_FROM, **values)
        return changed == 1

    def clear_presence(
        self, at: datetime, *, living: Sequence[str] = (), limit: int = 100_000
    ) -> Sequence[str]:
        """Set agents offline that no living process of the hub is connected to; return them.

        Args:
            at: when.
            living: ids of the processes that live; with none, every agent goes offline.
            limit: at most so many.
        """
        lost = or_(agents.c.hub.is_(None), agents.c.hub.not_in(living)) if living else sql_true()
        found = select(agents.c.did).where(agents.c.online, lost).limit(limit)
        statement = update(agents).where(agents.c.did.in_(found.scalar_subquery()))
        changes = {
            "online": False,
            "session": None,
            "hub": None,
            "online_changed_at": TIME.encode(at),
        }
        changed = self._tx.core(statement.values(changes).returning(agents.c.did))
        return [str(did) for did in changed.scalars()]

    def hold_connection(self, did: str, session: str) -> None:
        """Return when `session` is the agent's connection, and keep it so until this unit ends.

        Raises:
            FencedError: it was lost: to a newer one, or because its process was taken for dead.
        """
        row = self._tx.row(_HOLD, key=did)
        if row is None or row[0] != session:
            raise FencedError(
                "this connection is not the agent's any more",
                replaced=row is not None and row[0] is not None,
            )

    def connections_of(self, hub: str | None) -> dict[str, str]:
        """Return the agents online at a process of the hub (None: the only one), with sessions."""
        if hub is None:
            rows = self._tx.rows(_CONNECTIONS)
        else:
            rows = self._tx.rows(_CONNECTIONS_AT, process=hub)
        return {str(row[0]): str(row[1]) for row in rows}

    def touch(
        self,
        did: str,
        heartbeat: dict[str, Any] | None = None,
        at: datetime | None = None,
        *,
        limit_permille: int | None = None,
    ) -> None:
        """Keep the newest heartbeat, and how near it says it is to a limit; counts no revision."""
        beat = None if heartbeat is None else JSON.encode(heartbeat)
        moment = TIME.encode(at or self._tx.now)
        self._tx.run(_TOUCH, key=did, beat=beat, at=moment, limit=limit_permille)

    def rekey(self, did: str, new_did: str, *, public_key: str, fingerprint: str) -> AgentRecord:
        """Make an agent go by another key, with all that belongs to it; offline until it is back.

        Signed documents keep the name they were signed for; only the hub's own rows move.

        Raises:
            NotFoundError: no such agent.
            ConflictError: the new key belongs to an agent already.
        """
        self._tx.flush()
        record = self._need(self.get(did))
        # The name is unique, and for a moment there are two rows.
        self._tx.core(update(agents).where(agents.c.did == did).values(name=did))
        moved = replace(
            record,
            did=new_did,
            public_key=public_key,
            fingerprint=fingerprint,
            online=False,
            session=None,
            hub=None,
            updated_at=self._tx.now,
            revision=record.revision + 1,
        )
        self._insert(moved)
        for table in (agent_tags, agent_policies, approvals, document_acks, intents, outbox):
            own = update(table).where(table.c.agent_did == did)
            self._tx.core(own.values(agent_did=new_did))
        self._tx.core(delete(agents).where(agents.c.did == did))
        return moved

    def _tag(self, record: AgentRecord) -> None:
        tags = [("realm", name, "") for name in dict.fromkeys(record.realms)]
        tags += [("capability", name, "") for name in dict.fromkeys(record.capabilities)]
        tags += [("label", key, value) for key, value in record.labels.items()]
        if tags:
            rows = [
                {"agent_did": record.did, "kind": kind, "key": key, "value": value}
                for kind, key, value in tags
            ]
            self._tx.core(insert(agent_tags).values(rows))


def _tagged(kind: str, keys: Sequence[str], value: str | None = None) -> ColumnElement[bool]:
    found = select(agent_tags.c.agent_did).where(
        agent_tags.c.kind == kind, agent_tags.c.key.in_(keys)
    )
    if value is not None:
        found = found.where(agent_tags.c.value == value)
    return agents.c.did.in_(found)
