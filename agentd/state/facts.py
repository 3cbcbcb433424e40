"""Single values, and the connection ids a hello has used."""

from __future__ import annotations

import sqlite3
from typing import Final

CLOCK: Final = "highest_clock_ms"
LOG_DELEGATION: Final = "log_delegation"
CHECKPOINT: Final = "checkpoint"
PROOF_OWED: Final = "proof_owed"
"""How many connections have ended without it, a space, and the checkpoint that is to be proved."""
LOG_FORK: Final = "log_fork"
"""Set to the reason while the agent has put itself into quarantine."""
AGENT_NAME: Final = "agent_name"
HUB: Final = "hub"
"""DID of the last hub spoken to, a space, and the id of its delegation."""
ROTATION_SENT: Final = "rotation_sent"
"""DID of the next key once a `key_rotation` to it may have reached the hub."""

_SESSIONS_KEPT_MS = 30 * 86_400_000


def get_fact(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the value, or None where there is none."""
    row = connection.execute("SELECT value FROM facts WHERE name=?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_fact(connection: sqlite3.Connection, name: str, value: str | None) -> None:
    """Write the value; None removes it."""
    if value is None:
        connection.execute("DELETE FROM facts WHERE name=?", (name,))
    else:
        connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def raise_clock(connection: sqlite3.Connection, milliseconds: int) -> None:
    """Keep the highest time seen; a lower one changes nothing."""
    connection.execute(
        "INSERT INTO facts VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2 "
        "WHERE CAST(value AS INTEGER) < CAST(?2 AS INTEGER)",
        (CLOCK, str(milliseconds)),
    )


def session_seen(connection: sqlite3.Connection, session: str) -> bool:
    """Whether a hello has used this connection id before."""
    row = connection.execute("SELECT 1 FROM sessions WHERE id=?", (session,)).fetchone()
    return row is not None


def add_session(connection: sqlite3.Connection, session: str, now_ms: int) -> None:
    """Remember a connection id; those no fresh hello can carry any more are forgotten."""
    connection.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?)", (session, now_ms))
    connection.execute("DELETE FROM sessions WHERE seen_ms < ?", (now_ms - _SESSIONS_KEPT_MS,))
