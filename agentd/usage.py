"""Counts orders against limits: in memory for the decision, on disk for the next start.

An order counts from the moment it is decided, before it is on disk: two orders that arrive
together cannot both take the last place. Sums are kept as windows slide, so a decision costs the
same after ten orders and after a hundred thousand. Knows nothing of policies; it hands out numbers.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from agentd.clock import to_ms
from agentd.state.usage import WINDOW_MS, UsageRow, load_usage, put_usage
from protocol.authority import Grant
from protocol.limits_window import Usage

_HOUR_MS: Final = 3_600_000
_MOST_GONE: Final = 4_096
"""Moments that are over and still take their eight bytes each."""


class _Moments:
    """Moments in the order of arrival, eight bytes each: a day at full speed is a million."""

    def __init__(self) -> None:
        self._all = array("q")
        self._gone = 0

    def __len__(self) -> int:
        return len(self._all) - self._gone

    def add(self, at_ms: int) -> None:
        self._all.append(at_ms)

    def remove(self, at_ms: int) -> None:
        """Forget one that was added last or nearly so."""
        for index in range(len(self._all) - 1, self._gone - 1, -1):
            if self._all[index] == at_ms:
                del self._all[index]
                return

    def leave(self, until_ms: int) -> Iterator[int]:
        """Forget the first ones up to a moment, and name them."""
        while self._gone < len(self._all) and (at_ms := self._all[self._gone]) <= until_ms:
            self._gone += 1
            yield at_ms
        if self._gone > _MOST_GONE and 2 * self._gone > len(self._all):
            del self._all[: self._gone]
            self._gone = 0


class _Window:
    """Sums over the hour and the 24 hours that end now. A moment in the future counts."""

    def __init__(self) -> None:
        self._hour, self._day = _Moments(), _Moments()
        self._day_begins_ms = 0
        self._costs: dict[int, tuple[int, float]] = {}  # by the moment of their orders
        self._tokens = 0
        self._cents = 0.0
        self.running = 0

    def add(self, at_ms: int) -> None:
        self._hour.add(at_ms)
        self._day.add(at_ms)

    def remove(self, at_ms: int) -> None:
        """Forget an order that was added last or nearly so."""
        self._hour.remove(at_ms)
        self._day.remove(at_ms)

    def spend(self, at_ms: int, tokens: int, cents: float) -> None:
        """Add what an order of that moment has used, unless its day is over."""
        if at_ms > self._day_begins_ms:
            before = self._costs.get(at_ms, (0, 0.0))
            self._costs[at_ms] = (before[0] + tokens, before[1] + cents)
            self._tokens += tokens
            self._cents += cents

    def measure(self, now_ms: int) -> Usage:
        for _ in self._hour.leave(now_ms - _HOUR_MS):
            pass
        for at_ms in self._day.leave(now_ms - WINDOW_MS):
            tokens, cents = self._costs.pop(at_ms, (0, 0.0))
            self._tokens -= tokens
            self._cents -= cents
        self._day_begins_ms = max(self._day_begins_ms, now_ms - WINDOW_MS)
        return Usage(
            orders_this_hour=len(self._hour),
            orders_today=len(self._day),
            tokens_today=self._tokens,
            cents_today=max(self._cents, 0.0),
            running=self.running,
        )


class UsageLedger:
    """Every accepted order of the last 24 hours, and which of them run."""

    def __init__(self, reader: sqlite3.Connection, now: datetime) -> None:
        self._all = _Window()
        self._under: dict[str, _Window] = {}
        self._open: dict[str, UsageRow] = {}
        self._running: dict[str, tuple[str, ...]] = {}
        for row in load_usage(reader, to_ms(now) - WINDOW_MS):
            self._count(row)

    def measure(self, now: datetime) -> Usage:
        """Return the use of all orders."""
        return self._all.measure(to_ms(now))

    def measure_under(self, grant: Grant, now: datetime) -> dict[str, Usage]:
        """Return the use under each delegation of the grant's chain that has a budget."""
        return {
            delegation_id: self._window(delegation_id).measure(to_ms(now))
            for delegation_id, _ in grant.chain.budgets
        }

    def accept(self, grant: Grant, now: datetime) -> UsageRow:
        """Count one more order, and return the row to put on disk with it."""
        # Only links with a budget are ever asked about.
        delegations = tuple(delegation_id for delegation_id, _ in grant.chain.budgets)
        row = UsageRow(grant.intent.envelope.id, to_ms(now), 0, 0.0, delegations)
        self._count(row)
        self._open[row.intent_id] = row
        return row

    def withdraw(self, intent_id: str) -> None:
        """Count it no longer: it could not be put on disk, so it was never accepted."""
        row = self._open.pop(intent_id, None)
        if row is not None:
            for window in self._windows(row.delegations):
                window.remove(row.at_ms)

    def start(self, intent_id: str) -> None:
        """The order runs now."""
        row = self._open.get(intent_id)
        self._running[intent_id] = delegations = row.delegations if row is not None else ()
        for window in self._windows(delegations):
            window.running += 1

    def end(self, intent_id: str) -> None:
        """The order runs no longer."""
        delegations = self._running.pop(intent_id, None)
        if delegations is not None:
            for window in self._windows(delegations):
                window.running -= 1

    def forget(self, intent_id: str) -> None:
        """The order has its result: its use stays counted, its row is no longer needed."""
        self._open.pop(intent_id, None)

    def spend(self, intent_id: str, *, tokens: int, cents: float) -> None:
        """Add to what one order has used."""
        row = self._open.get(intent_id)
        if row is not None:
            self._open[intent_id] = replace(
                row, tokens=row.tokens + tokens, cents=row.cents + cents
            )
            for window in self._windows(row.delegations):
                window.spend(row.at_ms, tokens, cents)

    def spent(self, intent_id: str) -> UsageRow | None:
        """Return what an order without a result has used, or None when it was never counted."""
        return self._open.get(intent_id)

    def take_up(self, row: UsageRow) -> None:
        """An order from before a restart goes on: what it uses now counts on from there."""
        self._open[row.intent_id] = row

    @property
    def running(self) -> list[str]:
        """Ids of the orders that run now."""
        return list(self._running)

    def save(self, connection: sqlite3.Connection, intent_id: str) -> None:
        """Put on disk what one order has used; part of the unit that stores its result."""
        row = self._open.get(intent_id)
        if row is not None and (row.tokens or row.cents):
            put_usage(connection, row)

    def _count(self, row: UsageRow) -> None:
        for window in self._windows(row.delegations):
            window.add(row.at_ms)
            if row.tokens or row.cents:
                window.spend(row.at_ms, row.tokens, row.cents)

    def _windows(self, delegations: tuple[str, ...]) -> list[_Window]:
        return [self._all, *(self._window(delegation_id) for delegation_id in delegations)]

    def _window(self, delegation_id: str) -> _Window:
        return self._under.setdefault(delegation_id, _Window())
