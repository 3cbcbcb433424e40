"""Sealed values, wherever they lie: walked through and replaced when their data key changes.

A table with a sealed column belongs into `_COLUMNS`; a test holds every `sealed_*` column to it.
Knows where bytes lie; opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, null, select, update

from storage.records import SealedRow
from storage.tables.fleet import join_tokens
from storage.tables.secrets import token_keys
from storage.tables.telling import webhooks
from storage.transaction import Transaction


class SealedColumn(NamedTuple):
    """One column of sealed values, the key of its rows, and the realm they belong to."""

    key: Column[Any]
    sealed: Column[Any]
    realm: Column[Any] | None = None


_COLUMNS: Final[Mapping[str, SealedColumn]] = {
    "join_tokens": SealedColumn(join_tokens.c.id, join_tokens.c.sealed_secret, join_tokens.c.realm),
    "webhooks": SealedColumn(webhooks.c.id, webhooks.c.sealed_secret, webhooks.c.realm),
    "webhooks_previous": SealedColumn(webhooks.c.id, webhooks.c.sealed_previous, webhooks.c.realm),
    "webhooks_address": SealedColumn(webhooks.c.id, webhooks.c.sealed_url, webhooks.c.realm),
    "token_keys": SealedColumn(token_keys.c.id, token_keys.c.sealed_key),
}


class SealedRows:
    """Every sealed column of the schema."""

    columns = _COLUMNS

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    def list(self, kind: str, *, after: str = "", limit: int) -> Sequence[SealedRow]:
        """Return some sealed values of a kind, by key, behind `after`."""
        one = _COLUMNS[kind]
        statement = (
            select(
                one.key.label("key"),
                one.sealed.label("sealed"),
                (null() if one.realm is None else one.realm).label("realm"),
            )
            .where(one.key > after, one.sealed.is_not(None))
            .order_by(one.key)
            .limit(limit)
        )
        return [
            SealedRow(kind, row.key, bytes(row.sealed), row.realm)
            for row in self._tx.core(statement)
        ]

    def replace(self, row: SealedRow, sealed: bytes) -> bool:
        """Put another value where `row` lies; False when it has changed in the meantime."""
        one = _COLUMNS[row.kind]
        statement = (
            update(one.key.table)
            .where(one.key == row.key, one.sealed == row.sealed)
            .values({one.sealed.name: sealed})
        )
        return self._tx.core(statement).rowcount == 1
