"""What counts against the policy's limits: sliding windows that survive restarts."""

from __future__ import annotations

import sqlite3
from typing import Final, Literal

Kind = Literal["order", "tokens", "cents"]
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


def add_usage(connection: sqlite3.Connection, kind: Kind, at_ms: int, amount: int) -> None:
    """Count `amount` at a moment."""
    connection.execute(
        "INSERT INTO usage (kind, at_ms, amount) VALUES (?, ?, ?)", (kind, at_ms, amount)
    )


def load_usage(connection: sqlite3.Connection, since_ms: int) -> list[tuple[Kind, int, int]]:
    """Return (kind, moment, amount) of everything after `since_ms`, oldest first."""
    rows = connection.execute(
        "SELECT kind, at_ms, amount FROM usage WHERE at_ms > ? ORDER BY at_ms", (since_ms,)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def forget_usage(connection: sqlite3.Connection, now_ms: int) -> None:
    """Drop what no window reaches any more."""
    connection.execute("DELETE FROM usage WHERE at_ms < ?", (now_ms - 2 * DAY_MS,))
