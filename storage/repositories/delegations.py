"""Delegations: who lent what to whom, and which agents it reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy import bindparam, insert, literal_column, or_, select

from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import DelegationRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.permits import delegation_agents, delegations
from storage.transaction import Prepared

_T = delegations.c
_EVERY_AGENT = "*"
_MAPPING: Mapping[DelegationRecord] = Mapping(delegations, DelegationRecord)
_FOR_AGENT = Prepared(
    select(*_MAPPING.columns)
    .where(
        or_(
            _T.id.in_(
                select(delegation_agents.c.delegation_id).where(
                    or_(
                        delegation_agents.c.agent_did == bindparam("agent"),
                        delegation_agents.c.agent_did == literal_column(f"'{_EVERY_AGENT}'"),
                    )
                )
            ),
            _T.subject == bindparam("agent"),
        ),
        _T.revoked_at.is_(None),
        _T.expires_at > bindparam("moment"),
    )
    .order_by(_T.id)
)


class Delegations(Repository[DelegationRecord]):
    """Delegations by id; digests are unique."""

    mapping = _MAPPING
    noun = "delegation"

    def add(self, record: DelegationRecord) -> None:
        """Keep a delegation; a taken id or digest is a `ConflictError` of the unit."""
        self._insert(record)
        rows = [
            {"delegation_id": record.id, "agent_did": did} for did in _reached(record.capabilities)
        ]
        if rows:
            self._tx.core(insert(delegation_agents).values(rows))

    def get(self, id: str) -> DelegationRecord | None:
        """Return the delegation, or None."""
        return self._find(id=id)

    def get_by_digest(self, digest: str) -> DelegationRecord | None:
        """Return the delegation of this digest, or None."""
        return self._find(digest=digest)

    def get_many(self, ids: Sequence[str]) -> Sequence[DelegationRecord]:
        """Return those that exist, in the order of their ids."""
        return self._all(_T.id.in_(ids), order=_T.id) if ids else []

    def for_agent(self, agent_did: str, now: datetime) -> Sequence[DelegationRecord]:
        """Return what an agent should hold: reaches it or was lent to it, and is still good.

        Parents first.
        """
        self._tx.flush()
        rows = self._tx.rows(_FOR_AGENT, agent=agent_did, moment=TIME.encode(now))
        return [_MAPPING.record(row) for row in rows]

    def for_subject(self, subject: str, now: datetime | None = None) -> Sequence[DelegationRecord]:
        """Return what a DID or person was lent and still has."""
        moment = TIME.encode(now or self._tx.now)
        where = (_T.subject == subject, _T.revoked_at.is_(None), _T.expires_at > moment)
        return self._all(*where, order=_T.id)

    def children(self, digest: str) -> Sequence[DelegationRecord]:
        """Return the delegations made under one."""
        return self._all(_T.parent_digest == digest, order=_T.id)

    def list(
        self,
        *,
        subject: str | None = None,
        issuer: str | None = None,
        source: str | None = None,
        agent_did: str | None = None,
        revoked: bool | None = None,
        keep: Callable[[DelegationRecord], bool] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[DelegationRecord]:
        """Return a page, newest first; with `keep`, as if there were no others."""
        equal = {"subject": subject, "issuer": issuer, "source": source}
        where = [_T[name] == value for name, value in equal.items() if value is not None]
        if agent_did is not None:
            reaching = select(delegation_agents.c.delegation_id).where(
                delegation_agents.c.agent_did.in_([agent_did, _EVERY_AGENT])
            )
            where.append(_T.id.in_(reaching))
        if revoked is not None:
            where.append(_T.revoked_at.is_not(None) if revoked else _T.revoked_at.is_(None))
        return self._page(where, key=_T.id, limit=limit, cursor=cursor, keep=keep)

    def revoke(self, id: str, by: str, at: datetime | None = None) -> DelegationRecord | None:
        """Mark it revoked; None when it was before, or is unknown."""
        where = [_T.id == id, _T.revoked_at.is_(None)]
        return self._change(where, revoked_at=at or self._tx.now, revoked_by=by)

    def restore(self, id: str) -> DelegationRecord | None:
        """Mark it revoked no longer; None when it was not."""
        return self._change(
            [_T.id == id, _T.revoked_at.is_not(None)], revoked_at=None, revoked_by=None
        )


def _reached(capabilities: Iterable[dict[str, object]]) -> set[str]:
    reached: set[str] = set()
    for capability in capabilities:
        agents = capability.get("agents")
        if not isinstance(agents, list | tuple):
            return {_EVERY_AGENT}
        reached.update(agents)
    return reached
