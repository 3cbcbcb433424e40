"""Policies as people edit them, and the policy document in force at each agent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.errors import ConflictError
from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import AgentPolicyRecord, PolicyLayerRecord, PolicyRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.permits import agent_policies, policies, policy_layers
from storage.transaction import Prepared

_T = policies.c
_A = agent_policies.c
_L = policy_layers.c
_IN_FORCE: Mapping[AgentPolicyRecord] = Mapping(agent_policies, AgentPolicyRecord)
_FOR_AGENT = Prepared(select(*_IN_FORCE.columns).where(_A.agent_did == bindparam("agent")))
_LAYERS: Mapping[PolicyLayerRecord] = Mapping(policy_layers, PolicyLayerRecord)


class Policies(Repository[PolicyRecord]):
    """Policies by id."""

    mapping: Mapping[PolicyRecord] = Mapping(policies, PolicyRecord)
    noun = "policy"

    def add(self, record: PolicyRecord) -> None:
        """Keep a new policy."""
        self._insert(record)

    def get(self, id: str) -> PolicyRecord | None:
        """Return the policy, or None."""
        return self._find(id=id)

    def get_many(self, ids: Collection[str]) -> dict[str, PolicyRecord]:
        """Return those that exist, by id."""
        return {one.id: one for one in self._all(_T.id.in_(sorted(ids)))} if ids else {}

    def list(
        self,
        *,
        keep: Callable[[PolicyRecord], bool] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[PolicyRecord]:
        """Return a page, newest first; with `keep`, as if there were no others."""
        return self._page([], key=_T.id, limit=limit, cursor=cursor, keep=keep)

    def update(self, id: str, *, revision: int | None = None, **changes: Any) -> PolicyRecord:
        """Change fields; with `revision`, only when nobody else has since.

        Raises:
            NotFoundError: no such policy.
            ConflictError: another revision.
        """
        return self._revise(_T.id == id, revision, changes)

    def delete(self, id: str) -> bool:
        """Forget a policy; False when unknown. What is in force at agents stays."""
        return self._tx.core(delete(policies).where(_T.id == id)).rowcount == 1

    # --- in force ---

    def set_for_agent(self, record: AgentPolicyRecord) -> None:
        """Put a policy document in force at an agent.

        Raises:
            ConflictError: its version is not higher than the one in force.
        """
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        values = _IN_FORCE.values(record)
        statement = (
            make(agent_policies)
            .values(values)
            .on_conflict_do_update(
                index_elements=["agent_did"], set_=values, where=_A.version < record.version
            )
            .returning(_A.version)
        )
        if self._tx.core(statement).first() is None:
            raise ConflictError("a policy of this or a higher version is in force")

    def for_agent(self, agent_did: str) -> AgentPolicyRecord | None:
        """Return the policy document in force at an agent, or None."""
        self._tx.flush()
        row = self._tx.row(_FOR_AGENT, agent=agent_did)
        return None if row is None else _IN_FORCE.record(row)

    def agents_of(self, policy_id: str) -> Sequence[AgentPolicyRecord]:
        """Return where a policy is in force, by agent."""
        return self._in_force(_A.policy_id == policy_id)

    def expiring(self, before: datetime, limit: int = 200) -> Sequence[AgentPolicyRecord]:
        """Return policy documents that expire before a time and want to be signed anew."""
        return self._in_force(_A.expires_at < TIME.encode(before), limit)

    def in_force_after(self, agent_did: str, limit: int = 100) -> Sequence[AgentPolicyRecord]:
        """Return the documents in force at the agents after this one, by agent."""
        return self._in_force(_A.agent_did > agent_did, limit)

    # --- layers ---

    def set_layer(self, layer: str, policy_id: str | None, at: datetime) -> PolicyLayerRecord:
        """Make a policy the one of the fleet or of a realm, as its next version."""
        make = sqlite.insert if self._tx.is_sqlite else postgresql.insert
        values = _LAYERS.values(PolicyLayerRecord(layer, policy_id, 1, at))
        statement = (
            make(policy_layers)
            .values(values)
            .on_conflict_do_update(
                index_elements=["layer"], set_={**values, "version": _L.version + 1}
            )
            .returning(*_LAYERS.columns)
        )
        return _LAYERS.record(self._tx.core(statement).one())

    def layers(self) -> dict[str, PolicyLayerRecord]:
        """Return every layer that has a policy, by name."""
        statement = select(*_LAYERS.columns).where(_L.policy_id.is_not(None))
        found = [_LAYERS.record(row) for row in self._tx.core(statement)]
        return {record.layer: record for record in found}

    def layer_version(self, layer: str) -> int:
        """Return the version a layer has come to; 0 when there never was one."""
        row = self._tx.core(select(_L.version).where(_L.layer == layer)).first()
        return 0 if row is None else int(row[0])

    def _in_force(self, where: Any, limit: int | None = None) -> Sequence[AgentPolicyRecord]:
        statement = select(*_IN_FORCE.columns).where(where).order_by(_A.agent_did)
        if limit is not None:
            statement = statement.limit(limit)
        return [_IN_FORCE.record(row) for row in self._tx.core(statement)]
