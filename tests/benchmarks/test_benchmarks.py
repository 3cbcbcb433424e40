"""The benchmarks themselves: they measure a real hub, prove every reply and say what is missed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import goals, report
from tests.benchmarks.__main__ import parse
from tests.benchmarks.hub_process import System
from tests.benchmarks.orders import Cell, check_ledger, measure, measure_open

CELL = Cell(f"{goals.SQLITE}, {goals.SINGLE}", 300, 1.0, 0.95, 1_000.0, (1.0, 2.0, 30.0))


async def test_a_hub_is_measured_and_every_reply_is_proved_by_its_database(tmp_path: Path) -> None:
    system = System(tmp_path, agents=2)
    try:
        await system.enrol()
        closed = await measure(system, name="closed", clients=2, batch=3, seconds=0.2)
        half = await measure_open(
            system, name="open", per_second=20, seconds=0.3, chance=random.Random(1)
        )
        assert closed.orders >= 6
        assert closed.per_second > 0
        assert len(half.latencies_ms) == half.orders
        assert await system.ask("answered") == [{"answered": closed.orders + half.orders}]
    finally:
        system.stop()
    assert await check_ledger(system) == closed.orders + half.orders
    system.replied.add("01890000-0000-7000-8000-000000000000")
    with pytest.raises(RuntimeError, match="void"):
        await check_ledger(system)


def test_a_goal_is_judged_by_the_rounds_in_which_the_hub_had_its_core() -> None:
    starved = replace(CELL, orders=10, hub_cpu_seconds=0.5)
    (row, *_) = goals.rows([], [CELL, starved], {}, {})
    assert (row.measured, row.verdict, row.told) == (30.0, "met", "")
    (row, *_) = goals.rows([], [starved], {}, {})
    assert row.verdict == "missed"
    assert row.told.startswith("every cell rejected")
    assert "its two signatures 1000" in row.told


def test_the_report_has_every_goal_and_says_why_one_was_not_measured(tmp_path: Path) -> None:
    missing = {goals.CELERY: "not on this machine: no redis", "several": "failed: Gone: x | y"}
    rows = goals.rows([], [CELL], {}, missing)
    run = {"date": "2026-01-01", "cores": 2, "rounds": 1, "seconds": 1, "agents": 1, "seed": 1}
    run |= {"ledger": "all there.", "missing": missing, "more": {"One agent": {"startMs": 1}}}
    page = report.write_report(tmp_path, run, rows, [CELL]).read_text()
    assert len(rows) >= 25
    assert all(f"| {row.what} |" in page for row in rows)
    assert "not on this machine: no redis" in page
    assert "x \\| y" in page
    facts = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [row["verdict"] for row in facts["goals"]] == [row.verdict for row in rows]
    assert all(name.is_file() for name in tmp_path.iterdir())


def test_only_a_whole_run_is_published() -> None:
    assert parse([]).out.name == "reference"
    for words in (["--quick"], ["--only", "crowd"], ["--without", "dashboard"]):
        assert parse(words).out.name == "bench-report"
    assert (parse([]).rounds, parse([]).agents) == (5, 10_000)
