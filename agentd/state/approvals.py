"""Questions put to people, and their answers, as documents."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from protocol.envelope import Envelope


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """One question. `request` is the payload as sent, `rule` the policy's demand; wire objects."""

    request_id: str
    intent_id: str
    call_digest: str
    request: dict[str, Any]
    rule: dict[str, Any]
    expires_ms: int
    state: str


_COLUMNS = "request_id, intent_id, call_digest, request, rule, expires_ms, state"


def add_approval(connection: sqlite3.Connection, record: ApprovalRecord) -> None:
    """Put a question on disk before anybody is asked."""
    connection.execute(
        f"INSERT INTO approvals ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            record.request_id,
            record.intent_id,
            record.call_digest,
            json.dumps(record.request),
            json.dumps(record.rule),
            record.expires_ms,
            record.state,
        ),
    )


def get_approval(connection: sqlite3.Connection, request_id: str) -> ApprovalRecord | None:
    """Return one question, or None."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM approvals WHERE request_id=?",  # noqa: S608
        (request_id,),
    ).fetchone()
    return None if row is None else _approval(row)


def approvals_of(connection: sqlite3.Connection, intent_id: str) -> list[ApprovalRecord]:
    """Return the questions of one order, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM approvals WHERE intent_id=? ORDER BY request_id",  # noqa: S608
        (intent_id,),
    )
    return [_approval(row) for row in rows]


def open_approvals(connection: sqlite3.Connection) -> list[ApprovalRecord]:
    """Return the questions nobody has decided, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM approvals WHERE state='open' ORDER BY request_id"  # noqa: S608
    )
    return [_approval(row) for row in rows]


def set_approval_state(connection: sqlite3.Connection, request_id: str, state: str) -> None:
    """Decide an open question; a decided one stays as it is."""
    connection.execute(
        "UPDATE approvals SET state=? WHERE request_id=? AND state='open'", (state, request_id)
    )


def close_approvals(connection: sqlite3.Connection, intent_id: str) -> None:
    """Void the open questions of an order that has ended."""
    connection.execute(
        "UPDATE approvals SET state='void' WHERE intent_id=? AND state='open'", (intent_id,)
    )


def add_decision(
    connection: sqlite3.Connection, request_id: str, envelope: Envelope, at_ms: int
) -> None:
    """Keep a person's answer that counted at a moment."""
    connection.execute(
        "INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?)",
        (request_id, envelope.id, at_ms, envelope.wire),
    )


def decisions_of(connection: sqlite3.Connection, request_id: str) -> list[tuple[int, bytes]]:
    """Return the answers to one question, as moment and exact bytes, oldest first."""
    rows = connection.execute(
        "SELECT at_ms, wire FROM decisions WHERE request_id=? ORDER BY at_ms, document_id",
        (request_id,),
    )
    return [(row[0], bytes(row[1])) for row in rows]


def _approval(row: tuple[str, str, str, str, str, int, str]) -> ApprovalRecord:
    return ApprovalRecord(
        row[0], row[1], row[2], json.loads(row[3]), json.loads(row[4]), row[5], row[6]
    )
