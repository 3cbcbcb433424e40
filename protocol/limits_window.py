"""Owns the sliding windows of a policy's limits and of a delegation's budget (SPEC section 6).

Pure: what was used comes in as numbers, or as records to be counted. Knows nothing of where the
records are kept; the agent keeps them on disk, so a restart forgives nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from protocol.errors import BudgetExhaustedError, OrderRateLimitedError
from protocol.messages.policies import PolicyLimits

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
RATES_AND_BUDGETS: Final = ("ordersPerHour", "ordersPerDay", "tokensPerDay", "centsPerDay")
"""A policy's fields over which an order is refused; over `concurrent` it waits."""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One accepted order and what it has used so far.

    Attributes:
        at: when it was accepted.
        tokens: LLM tokens used.
        cents: money used, in cents; fractions count.
        running: whether it has started and not ended.
    """

    at: datetime
    tokens: int = 0
    cents: float = 0
    running: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in the windows that end now; the order to be judged is not in it."""

    orders_this_hour: int = 0
    orders_today: int = 0
    tokens_today: int = 0
    cents_today: float = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """As many orders run as may; the order waits until one ends, or until it expires."""

    running: int
    concurrent: int


def measure_usage(records: Iterable[UsageRecord], now: datetime) -> Usage:
    """Return the usage in the hour and the 24 hours that end at `now`.

    A record leaves its window exactly one hour, or 24, after it was accepted. One that lies in
    the future of `now` counts: a clock set back frees nothing.
    """
    orders_this_hour = orders_today = tokens_today = running = 0
    cents_today = 0.0
    for record in records:
        running += record.running
        if record.at <= now - DAY:
            continue
        orders_today += 1
        orders_this_hour += record.at > now - HOUR
        tokens_today += record.tokens
        cents_today += record.cents
    return Usage(orders_this_hour, orders_today, tokens_today, cents_today, running)


def decide_limits(limits: PolicyLimits, usage: Usage) -> Wait | None:
    """Return None when one more order may start now, `Wait` when it may start later.

    A budget that is used up to its last token or cent lets nothing more through. Refusals come
    before waiting: an order that is over a rate does not wait for a place.

    Raises:
        OrderRateLimitedError: as many orders as an hour or a day allows.
        BudgetExhaustedError: as many tokens or cents as a day allows.
    """
    if _reached(limits.orders_per_hour, usage.orders_this_hour):
        raise OrderRateLimitedError(f"{limits.orders_per_hour} orders an hour")
    if _reached(limits.orders_per_day, usage.orders_today):
        raise OrderRateLimitedError(f"{limits.orders_per_day} orders a day")
    if _reached(limits.tokens_per_day, usage.tokens_today):
        raise BudgetExhaustedError(f"{limits.tokens_per_day} tokens a day")
    if _reached(limits.cents_per_day, usage.cents_today):
        raise BudgetExhaustedError(f"{limits.cents_per_day} cents a day")
    if limits.concurrent is not None and usage.running >= limits.concurrent:
        return Wait(usage.running, limits.concurrent)
    return None


@dataclass(frozen=True, slots=True)
class LimitUse:
    """What is used of one rate or budget, in orders, tokens or cents as `limit` says.

    `limit` has the name of the policy's field.
    """

    limit: str
    used: float
    most: float

    @property
    def share(self) -> float:
        """Which share is used, 1 when all is; a limit of nothing is used up."""
        return self.used / self.most if self.most else 1.0


def nearest_limit(limits: PolicyLimits, usage: Usage) -> LimitUse | None:
    """Return the rate or budget that will be reached first, None where there is none."""
    found = [
        LimitUse(name, used, most)
        for name, most, used in (
            ("ordersPerHour", limits.orders_per_hour, usage.orders_this_hour),
            ("ordersPerDay", limits.orders_per_day, usage.orders_today),
            ("tokensPerDay", limits.tokens_per_day, usage.tokens_today),
            ("centsPerDay", limits.cents_per_day, usage.cents_today),
        )
        if most is not None
    ]
    return max(found, key=lambda one: one.share, default=None)


def _reached(limit: int | None, used: float) -> bool:
    return limit is not None and used >= limit
