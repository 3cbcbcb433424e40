"""The ledger counts what `protocol.limits_window` would count from the same records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agentd.clock import from_ms
from agentd.state import StateDatabase
from agentd.state.usage import UsageRow, load_usage, put_usage
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
    for number, (gap_ms, tokens, cents) in enumerate(orders):
        at_ms += gap_ms
        window.add(str(number), at_ms)
        window.spend(str(number), tokens, cents)
        records.append(UsageRecord(at=from_ms(at_ms), tokens=tokens, cents=cents))
        assert window.measure(at_ms) == measure_usage(records, from_ms(at_ms))
    end_ms = at_ms + pause_ms
    assert window.measure(end_ms) == measure_usage(records, from_ms(end_ms))


def test_an_order_that_was_never_stored_is_not_counted() -> None:
    window = _Window()
    window.add("stored", START_MS)
    window.add("lost", START_MS)
    window.remove("lost")
    assert window.measure(START_MS).orders_today == 1


def test_rows_come_back_from_disk(data_dir: Path) -> None:
    state = StateDatabase.open(data_dir, create=True)
    row = UsageRow("an-intent", START_MS, 7, 1.5, ("a", "b"))
    state.write_now(lambda connection: put_usage(connection, row))
    before = int(timedelta(hours=1).total_seconds() * 1000)
    assert load_usage(state.reader, START_MS - before) == [row]
    assert load_usage(state.reader, START_MS) == []
    state.close()
