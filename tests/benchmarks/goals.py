"""The goals of this project, each a row of the report: what was measured, and whether it is met."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.orders import Cell, quantile

SINGLE, BATCH, ALONE, HALF = "one POST each, C=32", "batches of 64, C=4", "C=1", "half load"
SQLITE, POSTGRES = "SQLite", "Postgres"
NATS, CELERY = "signed NATS + JetStream", "Celery on Redis"
HTTP, ECHO = "bare HTTP", "bare WebSocket echo"
VAULTYSCLAW_SHARE = 0.008
"""Of the sign+verify limit: published, and not run here."""


@dataclass(frozen=True, slots=True)
class Row:
    """One goal.

    Attributes:
        what: in words.
        at_least: the goal, in the unit of `measured`.
        reach: what would be better still.
        measured: median over the accepted rounds; None when it could not be measured.
        low: of the rounds.
        high: of the rounds.
        unit: `%`, `x`, `ms`, `KB`, `s`, `MB`.
        more_is_better: which way the goal points.
        note: what must be known to read it.
    """

    what: str
    at_least: float
    reach: float
    measured: float | None
    low: float | None
    high: float | None
    unit: str
    more_is_better: bool
    note: str = ""

    @property
    def verdict(self) -> str:
        """`reached`, `met`, `missed` or `not measured`."""
        if self.measured is None:
            return "not measured"

        def holds(goal: float) -> bool:
            assert self.measured is not None
            return self.measured >= goal if self.more_is_better else self.measured <= goal

        return "reached" if holds(self.reach) else "met" if holds(self.at_least) else "missed"


def accepted(cells: Sequence[Cell], name: str) -> list[Cell]:
    """Return the cells of this name in which the hub had its core."""
    return [cell for cell in cells if cell.name == name and cell.saturated]


def best(cells: Sequence[Cell], name: str) -> tuple[list[Cell], str]:
    """Return the accepted cells, else all of them and a note that says so."""
    good = accepted(cells, name)
    every = [cell for cell in cells if cell.name == name]
    note = "" if good or not every else "every cell rejected: the hub never had its core"
    return good or every, note


def make_row(
    what: str,
    goals: tuple[float, float],
    values: Sequence[float],
    unit: str,
    *,
    more: bool = True,
    note: str = "",
) -> Row:
    """Return the row of values of several rounds."""
    found = (statistics.median(values), min(values), max(values)) if values else (None,) * 3
    return Row(what, *goals, *found, unit, more, note)


def rows(rounds: Sequence[Mapping[str, Any]], cells: Sequence[Cell], others: Any) -> list[Row]:
    """Return every goal.

    Args:
        rounds: of each: `floorMs`, and by name the cells that were measured in it.
        cells: all of them.
        others: what `crowd`, `agent_cost` and `record_cost` found, where they ran.
    """
    made: list[Row] = []
    for database in (SQLITE, POSTGRES):
        for load, goals in ((SINGLE, (25.0, 40.0)), (BATCH, (45.0, 65.0))):
            found, note = best(cells, f"{database}, {load}")
            shares = [100 * cell.share for cell in found]
            what = f"orders/s, {load}, {database}: share of the sign+verify limit"
            made.append(make_row(what, goals, shares, "%", note=note))
    for load, goals in ((SINGLE, (0.9, 1.3)), (BATCH, (1.5, 2.5))):
        values, note = _ratios(rounds, f"{SQLITE}, {load}", NATS)
        made.append(make_row(f"orders/s against {NATS}, {load}", goals, values, "x", note=note))
    values, note = _ratios(rounds, f"{SQLITE}, {SINGLE}", CELERY)
    made.append(make_row(f"orders/s against {CELERY}", (5.0, 10.0), values, "x", note=note))
    found, note = best(cells, f"{SQLITE}, {SINGLE}")
    values = [cell.share / VAULTYSCLAW_SHARE for cell in found]
    what = "orders/s against VaultysClaw's published 0.8 % of the limit"
    made.append(make_row(what, (30.0, 60.0), values, "x", note=note))
    made += _latencies(rounds, cells)
    made += _of_a_crowd(others.get("crowd"))
    costs = others.get("record") or {}
    values = [100 * row["costOfTheRecord"] for row in costs.values()]
    made.append(make_row("cost of the record on orders/s", (20.0, 10.0), values, "%", more=False))
    agent = others.get("agent")
    memory = [agent["idleMegabytes"]] if agent else []
    start = [agent["startSeconds"]] if agent else []
    made.append(make_row("agent: idle memory", (45.0, 32.0), memory, "MB", more=False))
    made.append(make_row("agent: start to online", (0.6, 0.3), start, "s", more=False))
    return made


def _ratios(rounds: Sequence[Mapping[str, Any]], ours: str, theirs: str) -> tuple[list[float], str]:
    both = [one for one in rounds if ours in one and theirs in one]
    good = [one for one in both if one[ours].saturated and one[theirs].exhausted]
    values = [one[ours].per_second / one[theirs].per_second for one in good or both]
    if not both:
        return [], f"{theirs} was not there"
    return values, "" if good else "no round in which both had their core"


def _latencies(rounds: Sequence[Mapping[str, Any]], cells: Sequence[Cell]) -> list[Row]:
    multiples = [
        quantile(one[f"{SQLITE}, {ALONE}"].latencies_ms, 0.5) / one["floorMs"]
        for one in rounds
        if f"{SQLITE}, {ALONE}" in one and one.get("floorMs")
    ]
    half = [quantile(c.latencies_ms, 0.99) for c in cells if c.name == f"{SQLITE}, {HALF}"]
    floor = "no-op POST + echo + sign and verify on both sides + two commits"
    return [
        make_row(f"p50 at C=1, against {floor}", (3.0, 1.5), multiples, "x", more=False),
        make_row("p99 at half of saturation (SQLite)", (20.0, 8.0), half, "ms", more=False),
    ]


def _of_a_crowd(crowd: Mapping[str, Any] | None) -> list[Row]:
    wanted = (
        ("memory per idle agent", "kilobytesPerIdleAgent", (45.0, 30.0), "KB"),
        ("hub CPU per connect", "hubCpuMillisecondsPerConnect", (1.5, 0.6), "ms"),
        ("everybody back after hub kill -9", "everybodyBackSeconds", (40.0, 15.0), "s"),
        ("one order to all, all results in", "fanOutSeconds", (15.0, 6.0), "s"),
    )
    count = crowd["agents"] if crowd else 10_000
    note = "" if count == 10_000 else "the goal is for 10,000 agents"
    return [
        make_row(
            f"{what}, {count:,} agents",
            goals,
            [crowd[field]] if crowd else [],
            unit,
            more=False,
            note=note,
        )
        for what, field, goals, unit in wanted
    ]
