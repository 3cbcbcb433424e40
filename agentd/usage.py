"""Counts orders against limits: in memory for the decision, on disk for the next start.

An order counts from the moment it is decided, before it is on disk: two orders that arrive
together cannot both take the last place. Knows nothing of policies; it hands out numbers.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime

from agentd.clock import from_ms, to_ms
from agentd.state.usage import WINDOW_MS, UsageRow, load_usage, put_usage
from protocol.authority import Grant
from protocol.limits_window import Usage, UsageRecord, measure_usage


class UsageLedger:
    """Every accepted order of the last 24 hours, and which of them run."""

    def __init__(self, reader: sqlite3.Connection, now: datetime) -> None:
        rows = load_usage(reader, to_ms(now) - WINDOW_MS)
        self._rows = {row.intent_id: row for row in rows}
        self._running: dict[str, tuple[str, ...]] = {}

    def measure(self, now: datetime) -> Usage:
        """Return the use of all orders."""
        self._forget(now)
        return replace(
            measure_usage(map(_record, self._rows.values()), now), running=len(self._running)
        )

    def measure_under(self, grant: Grant, now: datetime) -> dict[str, Usage]:
        """Return the use under each delegation of the grant's chain that has a budget."""
        return {
            delegation_id: replace(
                measure_usage(
                    (
                        _record(row)
                        for row in self._rows.values()
                        if delegation_id in row.delegations
                    ),
                    now,
                ),
                running=sum(delegation_id in ids for ids in self._running.values()),
            )
            for delegation_id, _ in grant.chain.budgets
        }

    def accept(self, grant: Grant, now: datetime) -> UsageRow:
        """Count one more order, and return the row to put on disk with it."""
        delegations = tuple(link.id for link in grant.chain.links)
        row = UsageRow(grant.intent.envelope.id, to_ms(now), 0, 0.0, delegations)
        self._rows[row.intent_id] = row
        return row

    def withdraw(self, intent_id: str) -> None:
        """Count it no longer: it could not be put on disk, so it was never accepted."""
        self._rows.pop(intent_id, None)

    def start(self, intent_id: str) -> None:
        """The order runs now."""
        row = self._rows.get(intent_id)
        self._running[intent_id] = row.delegations if row is not None else ()

    def end(self, intent_id: str) -> None:
        """The order runs no longer."""
        self._running.pop(intent_id, None)

    def spend(self, intent_id: str, *, tokens: int, cents: float) -> None:
        """Add to what one order has used."""
        row = self._rows.get(intent_id)
        if row is not None:
            self._rows[intent_id] = replace(
                row, tokens=row.tokens + tokens, cents=row.cents + cents
            )

    def spent(self, intent_id: str) -> UsageRow | None:
        """Return what one order has used, or None when it is out of every window."""
        return self._rows.get(intent_id)

    @property
    def running(self) -> list[str]:
        """Ids of the orders that run now."""
        return list(self._running)

    def save(self, connection: sqlite3.Connection, intent_id: str) -> None:
        """Put on disk what one order has used; part of the unit that stores its result."""
        row = self._rows.get(intent_id)
        if row is not None and (row.tokens or row.cents):
            put_usage(connection, row)

    def _rows_under(self, delegation_id: str) -> list[UsageRow]:
        return [row for row in self._rows.values() if delegation_id in row.delegations]

    def _forget(self, now: datetime) -> None:
        # Orders were accepted in the order of their times: the oldest come first.
        border = to_ms(now) - WINDOW_MS
        while self._rows:
            oldest = next(iter(self._rows.values()))
            if oldest.at_ms > border:
                return
            del self._rows[oldest.intent_id]


def _record(row: UsageRow) -> UsageRecord:
    return UsageRecord(at=from_ms(row.at_ms), tokens=row.tokens, cents=row.cents)
