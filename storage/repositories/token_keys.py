"""Keys that sign tokens for other services."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete

from storage.mapping import Mapping
from storage.records import TokenKeyRecord
from storage.repositories.base import Repository
from storage.tables.secrets import token_keys

_T = token_keys.c


class TokenKeys(Repository[TokenKeyRecord]):
    """Token keys, oldest first; there are one to three."""

    mapping: Mapping[TokenKeyRecord] = Mapping(token_keys, TokenKeyRecord)
    noun = "token key"

    def add(self, record: TokenKeyRecord) -> None:
        """Keep a new key."""
        self._insert(record)

    def list(self) -> Sequence[TokenKeyRecord]:
        """Return all, in the order in which they become active."""
        return sorted(self._all(order=_T.active_at), key=lambda one: (one.active_at, one.id))

    def remove(self, id: str) -> bool:
        """Forget a key; False when unknown."""
        return self._tx.core(delete(token_keys).where(_T.id == id)).rowcount == 1
