"""What accepted orders used, against the limits of policies and budgets; survives restarts."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Final

WINDOW_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One accepted order; `delegations` are the ids of its chain."""

    intent_id: str
    at_ms: int
    tokens: int
    cents: float
    delegations: tuple[str, ...]


def put_usage(connection: sqlite3.Connection, row: UsageRow) -> None:
    """Write what one order has used so far."""
    connection.execute(
        "INSERT OR REPLACE INTO usage (intent_id, at_ms, tokens, cents, delegations) "
        "VALUES (?, ?, ?, ?, ?)",
        (row.intent_id, row.at_ms, row.tokens, row.cents, json.dumps(row.delegations)),
    )


def load_usage(connection: sqlite3.Connection, since_ms: int) -> list[UsageRow]:
    """Return what was accepted after `since_ms`, oldest first."""
    rows = connection.execute(
        "SELECT intent_id, at_ms, tokens, cents, delegations FROM usage "
        "WHERE at_ms > ? ORDER BY at_ms",
        (since_ms,),
    )
    return [_row(row) for row in rows]


def get_usage(connection: sqlite3.Connection, intent_id: str) -> UsageRow | None:
    """Return what one order has used so far, or None."""
    row = connection.execute(
        "SELECT intent_id, at_ms, tokens, cents, delegations FROM usage WHERE intent_id=?",
        (intent_id,),
    ).fetchone()
    return None if row is None else _row(row)


def forget_usage(connection: sqlite3.Connection, now_ms: int) -> None:
    """Drop what no window reaches any more."""
    connection.execute("DELETE FROM usage WHERE at_ms < ?", (now_ms - 2 * WINDOW_MS,))


def _row(row: tuple[str, int, int, float, str]) -> UsageRow:
    return UsageRow(row[0], row[1], row[2], row[3], tuple(json.loads(row[4])))
