"""Limits: windows that slide, refusals before waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest

from protocol.errors import BudgetExhaustedError, OrderRateLimitedError
from protocol.limits_window import (
    LimitUse,
    Usage,
    UsageRecord,
    Wait,
    decide_limits,
    measure_usage,
    nearest_limit,
)
from protocol.messages.policies import PolicyLimits
from tests.protocol.authority_world import NOW


def test_a_record_leaves_the_hour_and_the_day_exactly_then() -> None:
    tick = timedelta(milliseconds=1)
    for age, expected in (
        (timedelta(0), (1, 1)),
        (timedelta(hours=1) - tick, (1, 1)),
        (timedelta(hours=1), (0, 1)),
        (timedelta(hours=24) - tick, (0, 1)),
        (timedelta(hours=24), (0, 0)),
        (-timedelta(hours=5), (1, 1)),
    ):
        usage = measure_usage([UsageRecord(NOW - age)], NOW)
        assert (usage.orders_this_hour, usage.orders_today) == expected, age


def test_tokens_and_cents_add_up_over_the_day() -> None:
    records = [
        UsageRecord(NOW - timedelta(hours=2), tokens=3, cents=0.5),
        UsageRecord(NOW - timedelta(hours=23), tokens=4, cents=1),
        UsageRecord(NOW - timedelta(hours=25), tokens=100, cents=100),
    ]
    usage = measure_usage(records, NOW)
    assert (usage.tokens_today, usage.cents_today) == (7, 1.5)


def test_a_long_running_order_still_takes_a_place() -> None:
    usage = measure_usage([UsageRecord(NOW - timedelta(days=3), running=True)], NOW)
    assert (usage.running, usage.orders_today) == (1, 0)


@pytest.mark.parametrize(
    ("limits", "below", "at", "error"),
    [
        ({"orders_per_hour": 2}, Usage(orders_this_hour=1), Usage(orders_this_hour=2), "rate"),
        ({"orders_per_day": 2}, Usage(orders_today=1), Usage(orders_today=2), "rate"),
        ({"tokens_per_day": 2}, Usage(tokens_today=1), Usage(tokens_today=2), "budget"),
        ({"cents_per_day": 2}, Usage(cents_today=1.9), Usage(cents_today=2), "budget"),
        ({"orders_per_hour": 0}, None, Usage(), "rate"),
        ({"tokens_per_day": 0}, None, Usage(), "budget"),
    ],
)
def test_each_limit_refuses_alone(limits, below, at, error) -> None:
    policy_limits = PolicyLimits(**limits)
    if below is not None:
        assert decide_limits(policy_limits, below) is None
    expected = OrderRateLimitedError if error == "rate" else BudgetExhaustedError
    with pytest.raises(expected):
        decide_limits(policy_limits, at)


def test_over_concurrent_waits() -> None:
    limits = PolicyLimits(concurrent=2)
    assert decide_limits(limits, Usage(running=1)) is None
    assert decide_limits(limits, Usage(running=2)) == Wait(2, 2)


def test_a_refusal_comes_before_waiting() -> None:
    limits = PolicyLimits(concurrent=1, orders_per_day=1)
    with pytest.raises(OrderRateLimitedError):
        decide_limits(limits, Usage(running=1, orders_today=1))


def test_absent_limits_are_unlimited() -> None:
    busy = Usage(10**9, 10**9, 10**9, 10**9, 10**9)
    assert decide_limits(PolicyLimits(), busy) is None


def test_the_nearest_limit_is_the_one_of_which_most_is_used() -> None:
    usage = Usage(orders_this_hour=3, orders_today=9, tokens_today=10, cents_today=0.5, running=1)
    limits = PolicyLimits(orders_per_hour=10, tokens_per_day=20, concurrent=1)
    assert nearest_limit(limits, usage) == LimitUse("tokensPerDay", 10, 20)
    assert nearest_limit(PolicyLimits(concurrent=1), usage) is None
    assert nearest_limit(PolicyLimits(cents_per_day=0), usage) == LimitUse("centsPerDay", 0.5, 0)


def test_a_limit_of_nothing_is_nearer_than_any_that_has_something_left() -> None:
    limits = PolicyLimits(tokens_per_day=100, cents_per_day=0)
    assert nearest_limit(limits, Usage(tokens_today=99)) == LimitUse("centsPerDay", 0, 0)
    assert nearest_limit(limits, Usage(tokens_today=101)) == LimitUse("tokensPerDay", 101, 100)
