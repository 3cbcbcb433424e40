"""Every order of events that three orders under tight limits can meet, against the real ledger.

`UsageLedger` keeps sums so that a decision is cheap; the onlooker counts everything anew from
what is on disk. They must agree after every event, and no event may break a limit: not two
arrivals before either is on disk, not a disk that fails, not a kill -9, not a clock that jumps.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from agentd.state.schema import TABLES
from agentd.state.usage import get_usage, put_usage
from agentd.usage import UsageLedger
from protocol.authority import Grant
from protocol.errors import BudgetExhaustedError, OrderRateLimitedError
from protocol.limits_window import UsageRecord, Wait, decide_limits, measure_usage
from protocol.messages.policies import PolicyLimits

LIMITS = PolicyLimits.model_validate({"ordersPerHour": 2, "concurrent": 1, "tokensPerDay": 100})
TOKENS = 60
DEPTH = int(os.environ.get("WRIT_MODEL_DEPTH", "6"))
NAMES = ("a", "b", "c")
START = datetime.fromisoformat("2026-05-04T03:00:00+00:00")


@dataclass
class Seen:
    """What the onlooker knows of one order."""

    at: datetime
    state: str
    tokens: int = 0


@dataclass
class Meeting:
    """The real ledger over a real table, and the onlooker's own list."""

    disk: sqlite3.Connection
    now: datetime = START
    seen: dict[str, Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = UsageLedger(self.disk, self.now)

    def events(self) -> Iterator[str]:
        """Name what can happen now."""
        for name in NAMES:
            order = self.seen.get(name)
            if order is None:
                yield f"arrives {name}"
                break  # they are alike: the next new one is enough
        for name, order in self.seen.items():
            after = {
                "storing": ("stored", "disk_fails"),
                "stored": ("starts",),
                "running": ("ends",),
            }
            yield from (f"{what} {name}" for what in after.get(order.state, ()))
        if self.seen:
            yield "dies ."
            yield "later ."

    def happen(self, event: str) -> None:
        what, name = event.split()
        getattr(self, f"_{what}")(name)
        self._compare()

    def _arrives(self, name: str) -> None:
        try:
            decide_limits(LIMITS, self.ledger.measure(self.now))
        except (OrderRateLimitedError, BudgetExhaustedError):
            self.seen[name] = Seen(self.now, "refused")
            return
        self.ledger.accept(_grant(name), self.now)
        self.seen[name] = Seen(self.now, "storing")

    def _stored(self, name: str) -> None:
        row = self.ledger.spent(name)
        assert row is not None
        put_usage(self.disk, row)
        self.seen[name].state = "stored"

    def _disk_fails(self, name: str) -> None:
        self.ledger.withdraw(name)
        self.seen[name].state = "lost"

    def _starts(self, name: str) -> None:
        running = self.ledger.measure(self.now).running
        assert LIMITS.concurrent is not None
        if running >= LIMITS.concurrent:
            waits = decide_limits(
                PolicyLimits(concurrent=LIMITS.concurrent), self.ledger.measure(self.now)
            )
            assert isinstance(waits, Wait)
            return
        self.ledger.start(name)
        self.seen[name].state = "running"

    def _ends(self, name: str) -> None:
        self.ledger.spend(name, tokens=TOKENS, cents=0)
        self.ledger.save(self.disk, name)
        self.ledger.end(name)
        self.ledger.forget(name)
        self.seen[name].state, self.seen[name].tokens = "ended", TOKENS

    def _dies(self, _: str) -> None:
        self.ledger = UsageLedger(self.disk, self.now)
        for name, order in self.seen.items():
            if order.state == "storing":
                order.state = "lost"
            elif order.state == "running":
                order.state = "ended"  # interrupted
            elif order.state == "stored" and (row := get_usage(self.disk, name)) is not None:
                self.ledger.take_up(row)

    def _later(self, _: str) -> None:
        self.now += timedelta(minutes=40)

    def _compare(self) -> None:
        counted = [
            UsageRecord(one.at, one.tokens, running=one.state == "running")
            for one in self.seen.values()
            if one.state not in ("refused", "lost")
        ]
        usage = measure_usage(counted, self.now)
        assert self.ledger.measure(self.now) == usage
        assert LIMITS.orders_per_hour is not None
        assert usage.orders_this_hour <= LIMITS.orders_per_hour
        assert usage.running <= 1
        # What is let through below the budget may use it up, and nothing more is let through.
        assert usage.tokens_today < 100 + TOKENS


def _grant(name: str) -> Grant:
    parts: Any = SimpleNamespace(
        chain=SimpleNamespace(budgets=()),
        intent=SimpleNamespace(envelope=SimpleNamespace(id=name)),
    )
    return cast(Grant, parts)


def _meeting(events: tuple[str, ...]) -> Meeting:
    disk = sqlite3.connect(":memory:", isolation_level=None)
    disk.executescript(TABLES)
    meeting = Meeting(disk)
    for event in events:
        meeting.happen(event)
    return meeting


def test_the_ledger_counts_right_whatever_happens_in_whatever_order() -> None:
    layer: list[tuple[str, ...]] = [()]
    walked = 0
    for _ in range(DEPTH):
        grown = []
        for events in layer:
            meeting = _meeting(events)
            grown += [(*events, event) for event in meeting.events()]
            meeting.disk.close()
        layer = grown
        walked += len(layer)
    for events in layer:
        _meeting(events).disk.close()
    print(f"{walked} orders of events, up to {DEPTH} long")
    assert walked > 1_000
