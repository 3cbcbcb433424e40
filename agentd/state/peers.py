"""Orders this agent has given to other agents, and what came of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentd.clock import to_ms
from protocol.envelope import Envelope

_PEER_ORDER = "id, cause, ordinal, peer, digest, wire, delegations, answer, code, message"


@dataclass(frozen=True, slots=True)
class PeerOrderRecord:
    """One order to a peer. `answer` is the peer's signed result, `code` why there is none.

    `cause` is the order of this agent that it was made for, `ordinal` its place among those.
    """

    id: str
    cause: str
    ordinal: int
    peer: str
    digest: str
    wire: bytes
    delegations: tuple[dict[str, Any], ...]
    answer: bytes | None
    code: str | None
    message: str | None

    @property
    def is_open(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.answer is None and self.code is None


def add_peer_order(
    connection: sqlite3.Connection,
    envelope: Envelope,
    *,
    cause: str,
    ordinal: int,
    delegations: Sequence[Envelope],
) -> None:
    """Put an order to a peer on disk; an IntegrityError when its place is taken."""
    assert envelope.expires is not None
    connection.execute(
        "INSERT INTO peer_orders (id, cause, ordinal, peer, digest, wire, delegations, expires_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            envelope.id,
            cause,
            ordinal,
            envelope.audience,
            envelope.digest,
            envelope.wire,
            json.dumps([one.as_value() for one in delegations]),
            to_ms(envelope.expires),
        ),
    )


def get_peer_order(connection: sqlite3.Connection, intent_id: str) -> PeerOrderRecord | None:
    """Return one order to a peer, or None."""
    return _one(connection, "id=?", (intent_id,))


def find_peer_order(
    connection: sqlite3.Connection, cause: str, ordinal: int
) -> PeerOrderRecord | None:
    """Return the order to a peer at this place of an order of ours, or None."""
    return _one(connection, "cause=? AND ordinal=?", (cause, ordinal))


def answer_peer_order(connection: sqlite3.Connection, intent_id: str, result: bytes) -> None:
    """Keep the peer's signed result; the first that came stays."""
    connection.execute(
        "UPDATE peer_orders SET answer=? WHERE id=? AND answer IS NULL AND code IS NULL",
        (result, intent_id),
    )


def fail_peer_order(
    connection: sqlite3.Connection, intent_id: str, code: str, message: str
) -> None:
    """Remember that no result will come, and why; a result that came before stays."""
    connection.execute(
        "UPDATE peer_orders SET code=?, message=? WHERE id=? AND answer IS NULL AND code IS NULL",
        (code, message, intent_id),
    )


def _one(
    connection: sqlite3.Connection, where: str, values: tuple[object, ...]
) -> PeerOrderRecord | None:
    row = connection.execute(
        f"SELECT {_PEER_ORDER} FROM peer_orders WHERE {where}",  # noqa: S608
        values,
    ).fetchone()
    if row is None:
        return None
    intent_id, cause, ordinal, peer, digest, wire, delegations, answer, code, message = row
    return PeerOrderRecord(
        id=intent_id,
        cause=cause,
        ordinal=ordinal,
        peer=peer,
        digest=digest,
        wire=bytes(wire),
        delegations=tuple(json.loads(delegations)),
        answer=None if answer is None else bytes(answer),
        code=code,
        message=message,
    )
