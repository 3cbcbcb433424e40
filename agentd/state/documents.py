"""Documents seen, delegations held, and the one document in force of each kind."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from agentd.clock import to_ms
from protocol.envelope import Envelope


@dataclass(frozen=True, slots=True)
class SeenDocument:
    """A document that was acted on, and what was answered: `accepted` or `refused` with a code."""

    digest: str
    type: str
    answer: str
    code: str | None


@dataclass(frozen=True, slots=True)
class StandingDocument:
    """The document of one kind that is in force, with its version or epoch."""

    kind: str
    number: int
    digest: str
    wire: bytes


def seen_document(
    connection: sqlite3.Connection, signer: str, document_id: str
) -> SeenDocument | None:
    """Return what is remembered of a document by its signer (Multikey) and id."""
    row = connection.execute(
        "SELECT digest, type, answer, code FROM documents WHERE signer=? AND id=?",
        (signer, document_id),
    ).fetchone()
    return None if row is None else SeenDocument(*row)


def count_seen(connection: sqlite3.Connection, signer: str) -> int:
    """Return how many documents of a signer (Multikey) are remembered."""
    row = connection.execute("SELECT COUNT(*) FROM documents WHERE signer=?", (signer,)).fetchone()
    return int(row[0])


def add_seen(
    connection: sqlite3.Connection, envelope: Envelope, answer: str, code: str | None = None
) -> None:
    """Remember a document and its answer; the same signer and id twice is an IntegrityError."""
    assert envelope.expires is not None
    connection.execute(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            envelope.public_key.multikey,
            envelope.id,
            envelope.digest,
            envelope.type,
            to_ms(envelope.expires),
            answer,
            code,
        ),
    )


def forget_seen(connection: sqlite3.Connection, envelope: Envelope) -> None:
    """Remember a document no longer: the same bytes are judged anew when they come again."""
    connection.execute(
        "DELETE FROM documents WHERE signer=? AND id=?",
        (envelope.public_key.multikey, envelope.id),
    )


def forget_expired(connection: sqlite3.Connection, now_ms: int) -> None:
    """Drop what no longer needs remembering: documents past `expires`, delegations a day later.

    An order stays until its result was acked, whatever its age.
    """
    connection.execute(
        "DELETE FROM documents WHERE expires_ms < ? AND NOT EXISTS "
        "(SELECT 1 FROM orders WHERE orders.id = documents.id AND orders.state <> 'finished')",
        (now_ms,),
    )
    connection.execute("DELETE FROM delegations WHERE expires_ms < ?", (now_ms - 86_400_000,))
    connection.execute(
        "DELETE FROM results WHERE acked = 1 AND intent_id IN "
        "(SELECT id FROM orders WHERE state = 'finished' AND expires_ms < ?)",
        (now_ms,),
    )
    connection.execute(
        "DELETE FROM approvals WHERE intent_id IN "
        "(SELECT id FROM orders WHERE state = 'finished' AND expires_ms < ?)",
        (now_ms,),
    )
    connection.execute(
        "DELETE FROM decisions WHERE request_id NOT IN (SELECT request_id FROM approvals)"
    )
    connection.execute(
        "DELETE FROM peer_orders WHERE expires_ms < ? AND NOT EXISTS "
        "(SELECT 1 FROM orders WHERE orders.id = cause AND orders.state <> 'finished')",
        (now_ms,),
    )
    connection.execute(
        "DELETE FROM orders WHERE state = 'finished' AND expires_ms < ? "
        "AND id NOT IN (SELECT intent_id FROM results)",
        (now_ms,),
    )


def put_delegation(connection: sqlite3.Connection, envelope: Envelope) -> None:
    """Hold a delegation."""
    assert envelope.expires is not None
    connection.execute(
        "INSERT OR REPLACE INTO delegations VALUES (?, ?, ?, ?)",
        (envelope.id, envelope.digest, to_ms(envelope.expires), envelope.wire),
    )


def delete_delegation(connection: sqlite3.Connection, delegation_id: str) -> None:
    """Hold it no longer. The hub may take authority away at any time, never give it."""
    connection.execute("DELETE FROM delegations WHERE id=?", (delegation_id,))


def load_delegations(connection: sqlite3.Connection) -> list[bytes]:
    """Return every delegation held, as its exact bytes."""
    return [bytes(row[0]) for row in connection.execute("SELECT wire FROM delegations")]


def put_standing(
    connection: sqlite3.Connection, kind: str, number: int, envelope: Envelope
) -> None:
    """Put a document in force in place of the one before."""
    connection.execute(
        "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?)",
        (kind, number, envelope.digest, envelope.wire),
    )


def load_standing(connection: sqlite3.Connection) -> dict[str, StandingDocument]:
    """Return the documents in force by kind."""
    rows = connection.execute("SELECT kind, number, digest, wire FROM standing")
    return {row[0]: StandingDocument(row[0], row[1], row[2], bytes(row[3])) for row in rows}
