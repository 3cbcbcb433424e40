"""The inbox of orders and the outbox of results (SPEC section 8)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from agentd.clock import to_ms
from protocol.envelope import Envelope

_ORDER = "id, digest, wire, state, received_ms, expires_ms, started_ms, cancelled"
_RESULT = "intent_id, result_id, wire, expires_ms, acked"


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order on disk. `state`: held, waiting, accepted, started, finished."""

    id: str
    digest: str
    wire: bytes
    state: str
    received_ms: int
    expires_ms: int
    started_ms: int | None
    cancelled: bool


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """One signed result on disk."""

    intent_id: str
    result_id: str
    wire: bytes
    expires_ms: int
    acked: bool


def add_order(
    connection: sqlite3.Connection, envelope: Envelope, state: str, received_ms: int
) -> None:
    """Put an order on disk; an IntegrityError when it is there already."""
    assert envelope.expires is not None
    connection.execute(
        "INSERT INTO orders (id, signer, digest, wire, state, received_ms, expires_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            envelope.id,
            envelope.public_key.multikey,
            envelope.digest,
            envelope.wire,
            state,
            received_ms,
            to_ms(envelope.expires),
        ),
    )


def get_order(connection: sqlite3.Connection, intent_id: str) -> OrderRecord | None:
    """Return one order, or None."""
    row = connection.execute(f"SELECT {_ORDER} FROM orders WHERE id=?", (intent_id,)).fetchone()  # noqa: S608
    return None if row is None else _order(row)


def open_orders(connection: sqlite3.Connection) -> list[OrderRecord]:
    """Return the orders without a result, oldest first."""
    rows = connection.execute(
        f"SELECT {_ORDER} FROM orders WHERE state <> 'finished' ORDER BY received_ms, id"  # noqa: S608
    )
    return [_order(row) for row in rows]


def set_order_state(
    connection: sqlite3.Connection, intent_id: str, state: str, started_ms: int | None = None
) -> None:
    """Move an order that has no result yet."""
    connection.execute(
        "UPDATE orders SET state=?, started_ms=COALESCE(?, started_ms) "
        "WHERE id=? AND state <> 'finished'",
        (state, started_ms, intent_id),
    )


def set_cancelled(connection: sqlite3.Connection, intent_id: str) -> None:
    """Remember that an authorised cancel has come for an order without a result."""
    connection.execute(
        "UPDATE orders SET cancelled=1 WHERE id=? AND state <> 'finished'", (intent_id,)
    )


def held_intents(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Return the ids of orders on disk without a `result_ack`, oldest first."""
    rows = connection.execute(
        "SELECT orders.id FROM orders LEFT JOIN results ON results.intent_id = orders.id "
        "WHERE results.acked IS NULL OR results.acked = 0 ORDER BY received_ms, orders.id LIMIT ?",
        (limit,),
    )
    return [row[0] for row in rows]


def finish_order(connection: sqlite3.Connection, intent_id: str, result: Envelope) -> bool:
    """Write the signed result and end the order; False when it had one already."""
    cursor = connection.execute(
        "UPDATE orders SET state='finished' WHERE id=? AND state <> 'finished'", (intent_id,)
    )
    if cursor.rowcount == 0:
        return False
    assert result.expires is not None
    connection.execute(
        "INSERT INTO results (intent_id, result_id, wire, expires_ms, stored_ms) "
        "VALUES (?, ?, ?, ?, ?)",
        (intent_id, result.id, result.wire, to_ms(result.expires), to_ms(result.timestamp)),
    )
    return True


def replace_result(connection: sqlite3.Connection, intent_id: str, result: Envelope) -> None:
    """Keep a result that was signed anew (its time had gone, or the key or the hub is another)."""
    assert result.expires is not None
    connection.execute(
        "UPDATE results SET result_id=?, wire=?, expires_ms=? WHERE intent_id=? AND acked=0",
        (result.id, result.wire, to_ms(result.expires), intent_id),
    )


def get_result(connection: sqlite3.Connection, intent_id: str) -> ResultRecord | None:
    """Return the result of one order, or None."""
    row = connection.execute(
        f"SELECT {_RESULT} FROM results WHERE intent_id=?",  # noqa: S608
        (intent_id,),
    ).fetchone()
    return None if row is None else _result(row)


def open_results(connection: sqlite3.Connection) -> list[str]:
    """Return the intent ids of the results without an ack, oldest first."""
    rows = connection.execute("SELECT intent_id FROM results WHERE acked=0 ORDER BY stored_ms")
    return [row[0] for row in rows]


def ack_result(connection: sqlite3.Connection, intent_id: str, result_id: str) -> None:
    """The hub has it. Ignored for another result id than the one kept."""
    connection.execute(
        "UPDATE results SET acked=1 WHERE intent_id=? AND result_id=?", (intent_id, result_id)
    )


def count_orders(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many orders are in each state."""
    rows = connection.execute("SELECT state, count(*) FROM orders GROUP BY state")
    return {row[0]: row[1] for row in rows}


def _order(row: tuple[str, str, bytes, str, int, int, int | None, int]) -> OrderRecord:
    return OrderRecord(row[0], row[1], bytes(row[2]), row[3], row[4], row[5], row[6], bool(row[7]))


def _result(row: tuple[str, str, bytes, int, int]) -> ResultRecord:
    return ResultRecord(row[0], row[1], bytes(row[2]), row[3], bool(row[4]))
