"""The goals of this project, each a row of the report: what was measured, and why one is missed.

Knows no process and no file: cells and figures in, rows out. A reason is told only where a goal is
missed; what can be computed from the run (CPU of one order against that of its signatures) is.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.orders import Cell, quantile

SINGLE, BATCH, ALONE, HALF = "one POST each, C=32", "batches of 64, C=4", "C=1", "half load"
SQLITE, POSTGRES = "SQLite", "Postgres"
NATS, CELERY = "signed NATS + JetStream", "Celery on Redis"
HTTP, ECHO = "bare HTTP", "bare WebSocket echo"
VAULTYSCLAW_SHARE = 0.008
"""Of the sign+verify limit: published, and not run here."""
CROWD = 10_000
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One goal.

    Attributes:
        what: in words.
        at_least: the goal, in the unit of `measured`.
        reach: what would be better still.
        values: of the accepted rounds; none when it could not be measured.
        unit: `%`, `x`, `ms`, `KB`, `s`, `MB`, `fps`.
        more_is_better: which way the goal points.
        note: what must be known to read it: which cells were rejected, why it was not measured.
        reason: why it is missed, told only then.
    """

    what: str
    at_least: float
    reach: float
    values: tuple[float, ...]
    unit: str
    more_is_better: bool
    note: str = ""
    reason: str = ""

    @property
    def measured(self) -> float | None:
        """The median."""
        return statistics.median(self.values) if self.values else None

    @property
    def verdict(self) -> str:
        """`reached`, `met`, `missed` or `not measured`."""
        measured = self.measured
        if measured is None:
            return "not measured"

        def holds(goal: float) -> bool:
            return measured >= goal if self.more_is_better else measured <= goal

        return "reached" if holds(self.reach) else "met" if holds(self.at_least) else "missed"

    @property
    def told(self) -> str:
        """What stands beside the verdict."""
        parts = [self.note, self.reason if self.verdict == "missed" else ""]
        return "; ".join(part for part in parts if part)


def best(cells: Sequence[Cell], name: str) -> tuple[list[Cell], str]:
    """Return the accepted cells, else all of them and a note that says so."""
    every = [cell for cell in cells if cell.name == name]
    good = [cell for cell in every if cell.saturated]
    note = "" if good or not every else "every cell rejected: the hub never had 90 % of its core"
    return good or every, note


def rows(
    rounds: Sequence[Facts], cells: Sequence[Cell], others: Facts, missing: Mapping[str, str]
) -> list[Row]:
    """Return every goal.

    Args:
        rounds: of each: `floorMs`, and by name the cells that were measured in it.
        cells: all of them.
        others: what `crowd`, `agent`, `record`, `several` and `dashboard` found, where they ran.
        missing: what was left out or failed, by name, and why.
    """
    made = [
        *_rates(cells, missing),
        *_against_peers(rounds, cells, missing),
        *_latencies(rounds, cells),
        *_of_a_crowd(others.get("crowd"), missing.get("crowd", "")),
        *_of_the_record(others.get("record"), missing.get("record", "")),
        *_of_an_agent(others.get("agent"), missing.get("agent", "")),
        *_of_several(others.get("several"), missing.get("several", "")),
        Row(
            "memory slope over an hour of steady load",
            *(1.0, 0.0),
            (),
            "MB/h",
            more_is_better=False,
            note="takes an hour, so not here: `make soak`",
        ),
        *_of_the_dashboard(others.get("dashboard"), missing.get("dashboard", "")),
    ]
    return made


def _rates(cells: Sequence[Cell], missing: Mapping[str, str]) -> Iterable[Row]:
    for database in (SQLITE, POSTGRES):
        for load, goals in ((SINGLE, (25.0, 40.0)), (BATCH, (45.0, 65.0))):
            name = f"{database}, {load}"
            found, note = best(cells, name)
            yield Row(
                f"orders/s, {load}, {database}: share of the sign+verify limit",
                *goals,
                tuple(100 * cell.share for cell in found),
                "%",
                more_is_better=True,
                note=note or missing.get(name, missing.get(database, "")),
                reason=_where_time_goes(found),
            )


def _where_time_goes(cells: Sequence[Cell]) -> str:
    """Of the CPU time of one order, what its signatures take, and that the rest is Python."""
    if not cells:
        return ""
    each = statistics.median(cell.cpu_microseconds for cell in cells)
    database = statistics.median(cell.database_cpu_seconds / cell.orders * 1e6 for cell in cells)
    crypto = statistics.median(1e6 / cell.limit_per_second for cell in cells)
    server = f"the database server {database:.0f}, " if database else ""
    return (
        f"an order costs {each:.0f} us of CPU: {server}its two signatures {crypto:.0f}, "
        f"the rest is Python: HTTP, JSON, permission, policy, the record and its rows"
    )


def _against_peers(
    rounds: Sequence[Facts], cells: Sequence[Cell], missing: Mapping[str, str]
) -> Iterable[Row]:
    for load, peer, goals in (
        (SINGLE, NATS, (0.9, 1.3)),
        (BATCH, NATS, (1.5, 2.5)),
        (SINGLE, CELERY, (5.0, 10.0)),
    ):
        values, note = _ratios(rounds, f"{SQLITE}, {load}", peer)
        yield Row(
            f"orders/s against {peer}, {load}",
            *goals,
            values,
            "x",
            more_is_better=True,
            note=note or missing.get(peer, ""),
            reason="NATS has no REST, JSON, permissions or record, and does not wait for the disk"
            if peer == NATS
            else "",
        )
    found, note = best(cells, f"{SQLITE}, {SINGLE}")
    yield Row(
        "orders/s against VaultysClaw's published 0.8 % of the limit",
        *(30.0, 60.0),
        tuple(cell.share / VAULTYSCLAW_SHARE for cell in found),
        "x",
        more_is_better=True,
        note=note,
        reason="the same as the first row: what a single POST costs",
    )


def _ratios(rounds: Sequence[Facts], ours: str, theirs: str) -> tuple[tuple[float, ...], str]:
    both = [one for one in rounds if ours in one and theirs in one]
    good = [one for one in both if one[ours].saturated and one[theirs].exhausted]
    values = tuple(one[ours].per_second / one[theirs].per_second for one in good or both)
    return values, "" if good or not both else "no round in which both had their core"


def _latencies(rounds: Sequence[Facts], cells: Sequence[Cell]) -> Iterable[Row]:
    multiples = tuple(
        quantile(one[f"{SQLITE}, {ALONE}"].latencies_ms, 0.5) / one["floorMs"]
        for one in rounds
        if f"{SQLITE}, {ALONE}" in one and "floorMs" in one
    )
    yield Row(
        "p50 at C=1 against bare POST + echo + sign and verify on both sides + two commits",
        *(3.0, 1.5),
        multiples,
        "x",
        more_is_better=False,
        reason="every step is Python on one core, and two threads hand each commit to each other",
    )
    for database in (SQLITE, POSTGRES):
        half = [cell for cell in cells if cell.name == f"{database}, {HALF}"]
        yield Row(
            f"p99 at half of saturation, {database}",
            *(20.0, 8.0),
            tuple(quantile(cell.latencies_ms, 0.99) for cell in half),
            "ms",
            more_is_better=False,
            reason="what is due while a group is being committed waits for the next one",
        )


def _of_a_crowd(crowd: Facts | None, missing: str) -> Iterable[Row]:
    client = "the simulated agents share one core with each other and take most of the time"
    count = crowd["agents"] if crowd else CROWD
    for what, field, goals, unit, reason in (
        ("memory of the hub per idle agent", "kilobytesPerIdleAgent", (45.0, 30.0), "KB", ""),
        ("hub CPU per connect", "hubCpuMillisecondsPerConnect", (1.5, 0.6), "ms", _CONNECT),
        ("everybody back after hub kill -9", "everybodyBackSeconds", (40.0, 15.0), "s", client),
        ("one order to all, all results in", "fanOutSeconds", (15.0, 6.0), "s", client),
    ):
        yield Row(
            f"{what}, {count:,} agents",
            *goals,
            (crowd[field],) if crowd else (),
            unit,
            more_is_better=False,
            note=missing or ("" if count == CROWD else f"the goal is for {CROWD:,} agents"),
            reason=reason,
        )


_CONNECT = (
    "it is everything of coming back: upgrade, two signatures, the row, what is owed, two leaves"
)


def _of_the_record(record: Facts | None, missing: str) -> Iterable[Row]:
    for load in (SINGLE, BATCH):
        row = (record or {}).get(load)
        yield Row(
            f"orders/s that the audit record costs, by hub CPU, {load}",
            *(20.0, 10.0),
            (100 * row["costOfTheRecord"],) if row else (),
            "%",
            more_is_better=False,
            note=missing,
            reason="three leaves an order: salt, hash, two rows and a place in the tree each",
        )


def _of_an_agent(agent: Facts | None, missing: str) -> Iterable[Row]:
    for what, field, goals, unit in (
        ("agent: idle memory", "idleMegabytes", (45.0, 32.0), "MB"),
        ("agent: start to online", "startSeconds", (0.6, 0.3), "s"),
    ):
        yield Row(
            what,
            *goals,
            (agent[field],) if agent else (),
            unit,
            more_is_better=False,
            note=missing,
            reason="Python and what it imports",
        )


def _of_several(several: Facts | None, missing: str) -> Iterable[Row]:
    for load in (SINGLE, BATCH):
        row = (several or {}).get(load)
        reason = ""
        if row:
            reason = (
                f"of {row['cores']} cores hub and database used "
                f"{row['coresOfHubsAndDatabaseWithOne']} with one process and "
                f"{row['coresOfHubsAndDatabaseWithTwo']} with two; agents and clients need the "
                f"rest, so a second process finds no free core; an order costs hubs and database "
                f"{row['cpuMicrosecondsPerOrderOfOne']} us of CPU with one and "
                f"{row['cpuMicrosecondsPerOrderOfTwo']} us with two"
            )
        yield Row(
            f"two hub processes against one, {load}, Postgres and NATS",
            *(1.6, 1.8),
            tuple(row["ratios"]) if row else (),
            "x",
            more_is_better=True,
            note=missing,
            reason=reason,
        )


def _of_the_dashboard(dashboard: Facts | None, missing: str) -> Iterable[Row]:
    found = dict(dashboard or {})
    note = missing or found.get("dashboard", {}).get("skipped", "")
    frame = (34.0, 17.0)  # every second one, or every one, of a screen that shows 60 a second
    for row, field, goals in (
        ("until it can be used", "ms", (1_500.0, 1_500.0)),
        ("a question on screen", "p95_ms", (300.0, 300.0)),
        ("5,000 rows of /fleet scroll", "p95_ms", frame),
        ("10,000 rows of /audit scroll", "p95_ms", frame),
    ):
        figures = found.get(f"dashboard, {row}")
        yield Row(
            f"dashboard, {row}{', p95' if field == 'p95_ms' else ''}",
            *goals,
            (float(figures[field]),) if figures else (),
            "ms",
            more_is_better=False,
            note=note,
            reason="hub, browser and renderer, without a graphics card, share the cores",
        )
