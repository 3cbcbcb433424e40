"""The ledger counts what `protocol.limits_window` would count from the same records."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agentd.clock import from_ms
from agentd.state import StateDatabase
from agentd.state.usage import WINDOW_MS, UsageRow, load_usage, put_usage
from agentd.usage import _Window
from protocol.limits_window import UsageRecord, measure_usage

START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
steps = st.lists(
    st.tuples(st.integers(0, 12 * 3_600_000), st.integers(0, 100), st.integers(0, 50)), max_size=40
)


@given(steps, st.integers(0, 30 * 3_600_000))
def test_sliding_sums_equal_a_count_from_scratch(
    orders: list[tuple[int, int, int]], pause_ms: int
) -> None:
    window, records, at_ms = _Window(), [], START_MS
    for gap_ms, tokens, cents in orders:
        at_ms += gap_ms
        window.add(at_ms)
        window.spend(at_ms, tokens, cents)
        records.append(UsageRecord(at=from_ms(at_ms), tokens=tokens, cents=cents))
        assert window.measure(at_ms) == measure_usage(records, from_ms(at_ms))
    end_ms = at_ms + pause_ms
    assert window.measure(end_ms) == measure_usage(records, from_ms(end_ms))


def test_an_order_that_was_never_stored_is_not_counted() -> None:
    window = _Window()
    window.add(START_MS)
    window.add(START_MS + 1)
    window.remove(START_MS + 1)
    assert window.measure(START_MS + 1).orders_today == 1
    window.remove(START_MS + 1)
    assert window.measure(START_MS + 1).orders_today == 1


def test_what_an_order_uses_after_its_day_counts_no_longer() -> None:
    window = _Window()
    window.add(START_MS)
    window.spend(START_MS, 5, 0.5)
    window.measure(START_MS + WINDOW_MS)
    window.spend(START_MS, 7, 0.5)
    usage = window.measure(START_MS + WINDOW_MS)
    assert (usage.tokens_today, usage.cents_today) == (0, 0)


def test_a_day_at_full_speed_takes_a_few_bytes_an_order() -> None:
    window = _Window()
    orders = 50_000
    tracemalloc.start()
    try:
        for number in range(orders):
            window.add(START_MS + number)
        held = tracemalloc.get_traced_memory()[0] / orders
    finally:
        tracemalloc.stop()
    assert held < 40
    # Two days on every one of them is gone, and so are their bytes.
    window.measure(START_MS + 2 * WINDOW_MS)
    window.add(START_MS + 2 * WINDOW_MS)
    assert window.measure(START_MS + 2 * WINDOW_MS).orders_today == 1


def test_rows_come_back_from_disk(data_dir: Path) -> None:
    state = StateDatabase.open(data_dir, create=True)
    row = UsageRow("an-intent", START_MS, 7, 1.5, ("a", "b"))
    state.write_now(lambda connection: put_usage(connection, row))
    before = int(timedelta(hours=1).total_seconds() * 1000)
    assert load_usage(state.reader, START_MS - before) == [row]
    assert load_usage(state.reader, START_MS) == []
    state.close()
