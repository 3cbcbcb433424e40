"""Wishes to be enrolled, until somebody decides."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from storage.errors import ConflictError
from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import RegistrationRecord
from storage.repositories.base import Repository
from storage.tables.columns import TIME
from storage.tables.fleet import registrations

_T = registrations.c
_PENDING = _T.state == "pending"


class Registrations(Repository[RegistrationRecord]):
    """Registrations by id; at most one is pending per key."""

    mapping: Mapping[RegistrationRecord] = Mapping(registrations, RegistrationRecord)
    noun = "registration"

    def upsert_pending(self, record: RegistrationRecord) -> RegistrationRecord:
        """Keep a pending request and return it as it stands.

        A key that already waits keeps its id, its realm and the time it first asked; what it
        says about itself is taken anew.
        """
        waiting = self._one(_T.public_key == record.public_key, _PENDING)
        if waiting is None:
            self._insert(replace(record, state="pending"))
            return replace(record, state="pending")
        fresh: dict[str, Any] = {
            name: getattr(record, name)
            for name in (
                "name", "fingerprint", "version", "capabilities", "actions", "labels", "host",
                "llm", "address", "updated_at", "expires_at",
            )
        }  # fmt: skip
        fresh["realm"] = waiting.realm or record.realm
        fresh["join_token_id"] = waiting.join_token_id or record.join_token_id
        return self._need(self._change([_T.id == waiting.id], **fresh))

    def get(self, id: str) -> RegistrationRecord | None:
        """Return the registration, or None."""
        return self._find(id=id)

    def get_by_key(self, public_key: str) -> RegistrationRecord | None:
        """Return the newest registration of a key (Multikey), or None."""
        found = self._all(_T.public_key == public_key, order=_T.id.desc(), limit=1)
        return found[0] if found else None

    def list(
        self,
        *,
        state: str | None = None,
        realm: str | None = None,
        realms: Collection[str] | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[RegistrationRecord]:
        """Return a page, newest first; `realms` is what the caller may see (None: all)."""
        where = [_T.state == state] if state is not None else []
        if realm is not None:
            where.append(_T.realm == realm)
        if realms is not None:
            where.append(_T.realm.in_(sorted(realms)))
        return self._page(where, key=_T.id, limit=limit, cursor=cursor)

    def decide(
        self,
        id: str,
        state: str,
        by: str,
        reason: str | None = None,
        at: datetime | None = None,
        **changes: Any,
    ) -> RegistrationRecord:
        """Approve or reject what is pending, once.

        Raises:
            NotFoundError: no such registration.
            ConflictError: decided before.
        """
        decided = self._change(
            [_T.id == id, _PENDING],
            state=state,
            decided_by=by,
            reason=reason,
            decided_at=at or self._tx.now,
            **changes,
        )
        if decided is not None:
            return decided
        found = self._need(self.get(id))
        raise ConflictError(f"this registration is {found.state}")

    def count_pending(self, address: str | None = None) -> int:
        """Return how many wait, from one address or in all."""
        statement = select(func.count()).select_from(registrations).where(_PENDING)
        if address is not None:
            statement = statement.where(_T.address == address)
        return int(self._tx.core(statement).scalar_one())

    def expire(self, before: datetime) -> int:
        """End every pending request whose `expires_at` is not after `before`; return how many."""
        moment = TIME.encode(before)
        statement = update(registrations).where(_PENDING, _T.expires_at <= moment)
        return self._tx.core(statement.values(state="expired", decided_at=moment)).rowcount
